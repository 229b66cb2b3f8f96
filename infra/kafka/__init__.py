"""A real Kafka broker as a child Java process."""
