"""Evaluation: what several systems said of the same held-out clips, scored and compared."""
