"""Decides whether, when and on which channel a customer gets a message: policy, caps, quiet hours, rate."""
