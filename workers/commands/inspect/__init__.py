"""Read-only commands: why, stats, tail, dlq."""
