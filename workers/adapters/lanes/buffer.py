"""Buffers records in memory for their lane, bounded by number and by bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from heapq import merge
from typing import Protocol

from workers.core.stream.records import Record, append_time_s

#: Keys and values buffered for one lane before its fetching pauses, however few the records are [bytes].
MAX_BYTES = 64 << 20


class FetchedRecord(Protocol):
    """A record as the consumer returns it (aiokafka's ConsumerRecord)."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: Sequence[tuple[str, bytes | None]]


class RecordBuffer:
    """Fetched records of one lane, and deferred ones that must be processed again before them. Not thread-safe."""

    def __init__(self, max_records: int) -> None:
        self._max_records = max_records
        self._waiting: deque[Record] = deque()
        self._waiting_bytes = 0
        self._deferred: list[Record] = []
        self._deferred_bytes = 0

    def __len__(self) -> int:
        """The number of fetched records; deferred ones do not count."""
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """True if fetching must pause. Deferred records count, too."""
        return (
            len(self._waiting) + len(self._deferred) >= self._max_records
            or self._waiting_bytes + self._deferred_bytes >= MAX_BYTES
        )

    @property
    def has_deferred(self) -> bool:
        """True if any records are deferred."""
        return bool(self._deferred)

    def add(self, topic: str, partition: int, fetched: FetchedRecord) -> None:
        """Appends a fetched record; `topic` is the name without the prefix."""
        self._waiting_bytes += _size(fetched)
        self._waiting.append(
            Record(
                topic=topic,
                partition=partition,
                offset=fetched.offset,
                key=fetched.key,
                value=fetched.value,
                appended_at_s=append_time_s(fetched.timestamp),
                headers=_headers(fetched.headers) if fetched.headers else (),
            )
        )

    def take(self, limit: int) -> list[Record]:
        """Returns the deferred records, then at most `limit` fetched ones. Deferred records stay until `defer` replaces them."""
        return [*self._deferred, *self._next(limit)]

    def _next(self, limit: int) -> Iterator[Record]:
        """Yields the next records in the order in which the broker appended them, each topic's in offset order."""
        by_topic: dict[str, list[Record]] = {}
        for _ in range(min(len(self._waiting), limit)):
            record = self._waiting.popleft()
            self._waiting_bytes -= _size(record)
            by_topic.setdefault(record.topic, []).append(record)
        return merge(*by_topic.values(), key=lambda record: record.appended_at_s)

    def defer(self, records: list[Record]) -> None:
        """Replaces the deferred records."""
        self._deferred, self._deferred_bytes = records, sum(map(_size, records))

    def clear(self) -> None:
        """Discards everything: what was not applied is fetched again."""
        self._waiting.clear()
        self._waiting_bytes = 0
        self.defer([])


def _size(record: Record | FetchedRecord) -> int:
    """Returns the size of a record's key and value [bytes]."""
    return len(record.key or b"") + len(record.value or b"")


def _headers(headers: Sequence[tuple[str, bytes | None]]) -> tuple[tuple[str, bytes], ...]:
    """Returns the headers in order; a header without a value (Kafka allows null) gets an empty one."""
    return tuple((name, value or b"") for name, value in headers)
