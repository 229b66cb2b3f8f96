"""Simulates shoppers and their responses to messages, for demos and tests."""
