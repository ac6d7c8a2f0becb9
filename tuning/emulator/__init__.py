"""A local stand-in for Vertex AI's tuning service. It trains nothing."""
