"""What several test files share: harnesses of lanes, real servers, generators of events and texts."""
