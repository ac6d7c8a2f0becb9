"""A local emulator of Vertex AI's tuning service. It trains nothing."""
