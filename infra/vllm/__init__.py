"""vLLM's CPU build as a local server."""
