"""The guardrails, one per file."""
