"""Keeps one customer's state and applies events and feedback to it."""
