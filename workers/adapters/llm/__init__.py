"""Clients of LLM servers, and the language detector."""
