"""Publishes messages: the final recheck, message records, reviews and cancellations."""
