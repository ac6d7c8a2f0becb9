"""Tuning services behind one protocol."""
