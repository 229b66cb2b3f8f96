"""Helpers that several test files share: lane harnesses, real servers, generators of events and texts."""
