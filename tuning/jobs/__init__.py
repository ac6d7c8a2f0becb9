"""One job for one request: submitted once, noted, watched, its dropped examples named."""
