"""A Flink cluster on this machine, whose processes are killed while they prepare a dataset: `make test-cluster`."""
