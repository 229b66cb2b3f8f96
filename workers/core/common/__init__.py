"""IDs, timestamps and memoization that every room uses; there is no fourth kind."""
