"""A dataset: where each clip goes, its shards with their sidecars, the ledger, the output folder."""
