"""Local state in RocksDB, its recovery and checkpoints."""
