"""The guardrails, one a file."""
