"""A real Kafka broker as a Java process of ours."""
