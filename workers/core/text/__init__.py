"""Text processing independent of marketing: normalisation, sanitising, near-duplicates, SMS, length limits."""
