"""Everything that touches the outside: Kafka, RocksDB, LLM servers, files, clocks."""
