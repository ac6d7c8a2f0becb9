"""Tuning jobs: submits each request once, records its job, watches it and names the examples that were dropped."""
