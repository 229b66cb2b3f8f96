"""IDs, timestamps and memoization, used by every folder; nothing else belongs here."""
