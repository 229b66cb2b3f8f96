"""Stream processing types: records in and out, effects, decoding, dead letters, published IDs."""
