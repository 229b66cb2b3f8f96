"""Marketing knowledge as structs: audiences, campaigns, copy, policy."""
