"""The report on a finished dataset: counts, warnings, page."""
