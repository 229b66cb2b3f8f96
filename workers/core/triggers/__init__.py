"""Triggers: which occurrences a profile has, when they are due, and whether they still hold. One kind a file."""
