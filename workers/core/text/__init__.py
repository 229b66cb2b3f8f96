"""Text as such: normalization, sanitizing, near-duplicates, SMS, length limits."""
