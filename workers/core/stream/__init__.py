"""Records in, records out: effects, decoding, dead letters, published IDs."""
