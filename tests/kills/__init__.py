"""Real commands, killed at random moments and run to their end: `make kills` tries many, `make test` a few."""
