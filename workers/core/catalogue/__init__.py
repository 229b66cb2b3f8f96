"""Product facts that copy may state, and links that may be published."""
