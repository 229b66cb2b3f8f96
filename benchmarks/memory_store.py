"""Replaces RocksDB by a dictionary: the state of a core that runs without its shell."""

from __future__ import annotations

from collections.abc import Iterator

from workers.core.stream.effects import Effects


class MemoryStore:
    """Implements core.stream.records.StateStore; `commit` does the same as the lane's shell after a transaction."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """Returns the value of a key, or None."""
        return self.values.get(key)

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[bytes]:
        """Returns the keys that start with `prefix`, from `start` on, in byte order."""
        return iter(sorted(key for key in self.values if key.startswith(prefix) and key >= start))

    def commit(self, effects: Effects) -> None:
        """Applies puts and index entries."""
        for key, value in effects.puts:
            if value is None:
                self.values.pop(key, None)
            else:
                self.values[key] = value
        for key in effects.index_deletes:
            self.values.pop(key, None)
        for key in effects.index_puts:
            self.values[key] = b""
