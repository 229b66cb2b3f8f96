"""Owns all writes to a customer's profile: event processing, decisions and open requests."""
