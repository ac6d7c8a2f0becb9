"""Checks whether the service will accept a dataset: its files, its lines, the audio they refer to and its tokens."""
