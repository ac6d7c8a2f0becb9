"""Manifests: which clips there are, and what the model should answer to each."""
