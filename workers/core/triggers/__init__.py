"""Which occurrences a profile has, when they are due, and whether they still hold then; one kind of trigger a file."""
