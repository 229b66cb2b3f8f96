"""The embedded LLM server, and how a server is found or started."""
