"""Turns a draft of any format into one record of customer.events, or rejects it with a reason."""
