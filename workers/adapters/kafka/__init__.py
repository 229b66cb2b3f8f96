"""Kafka clients: configuration, reader, publisher, administration, broadcast state."""
