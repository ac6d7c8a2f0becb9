"""Checks a finished dataset, tunes a model on it and asks the model."""
