"""What is told of a finished dataset: counts, warnings, pages."""
