"""Sound: from a file's bytes to a payload. Knows neither storage nor manifests."""
