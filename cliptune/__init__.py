"""The door: command line, terminal, exit statuses. Everything it does, `beam_pipeline` and `tuning` do without it."""

VERSION = "0.1.0"
