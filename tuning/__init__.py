"""From a finished dataset to a tuned model: the only importer of the Vertex SDK."""
