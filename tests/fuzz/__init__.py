"""Whatever comes, no file, no row and no tasks file ends a run. `make fuzz` tries many; `make test` a few."""
