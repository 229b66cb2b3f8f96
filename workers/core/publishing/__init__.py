"""Publishes messages: the last check, cancellations, review."""
