"""Foreign formats, one a file."""
