"""The command line: flags, terminal output and exit statuses. The work is done by `beam_pipeline` and `tuning`."""

VERSION = "0.1.0"
