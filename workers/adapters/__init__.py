"""Everything that touches the outside world: Kafka, RocksDB, LLM servers, files, clocks."""
