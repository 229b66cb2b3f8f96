"""Commands that inspect an installation: why, stats, tail, dlq."""
