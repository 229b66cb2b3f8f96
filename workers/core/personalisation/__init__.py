"""The only writer of a customer: processor, decisions, open requests."""
