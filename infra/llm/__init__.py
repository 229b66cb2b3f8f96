"""The embedded LLM server, and the code that finds or starts a server."""
