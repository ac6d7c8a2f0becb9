"""Vertex AI, through google-genai."""
