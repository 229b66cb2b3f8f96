"""Defines the wire contract: every record on Kafka as a struct, and the topics."""
