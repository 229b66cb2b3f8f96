"""IDs, timestamps and memoization, used by every folder. Nothing else belongs here."""
