"""Simulates a broker in memory: partitions, offsets, transactions, and reading of committed records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from workers.core.stream.records import Record

Place = tuple[str, int]


class Transaction:
    """A transaction; `state` is `open`, `committed` or `aborted`."""

    def __init__(self) -> None:
        self.state = "open"


class Entry:
    """One record of a partition; `transaction` None = committed without a transaction."""

    def __init__(self, record: Record, transaction: Transaction | None) -> None:
        self.record, self.transaction = record, transaction

    @property
    def state(self) -> str:
        """The state of its transaction."""
        return "committed" if self.transaction is None else self.transaction.state


class Log:
    """All topics of one cluster. `now_s` is the broker's clock: records have the time of their append."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._entries: dict[Place, list[Entry]] = defaultdict(list)

    def append(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, within: Transaction | None = None
    ) -> Record:
        """Appends one record."""
        entries = self._entries[topic, partition]
        record = Record(
            topic=topic,
            partition=partition,
            offset=len(entries),
            key=key,
            value=value,
            appended_at_s=self._now_s(),
        )
        entries.append(Entry(record, within))
        return record

    def high_water(self, place: Place) -> int:
        """Returns the offset of the next record."""
        return len(self._entries[place])

    def stable(self, place: Place) -> int:
        """Returns the last stable offset, at which readers of committed records stop."""
        entries = self._entries[place]
        return next((index for index, entry in enumerate(entries) if entry.state == "open"), len(entries))

    def fetch(self, place: Place, position: int, limit: int) -> tuple[list[Record], int]:
        """Returns at most `limit` committed records from `position` on, and the position after them."""
        entries, end = self._entries[place], self.stable(place)
        found: list[Record] = []
        while position < end and len(found) < limit:
            if entries[position].state == "committed":
                found.append(entries[position].record)
            position += 1
        while position < end and entries[position].state == "aborted":
            position += 1
        return found, position

    def committed(self, place: Place) -> list[Record]:
        """Returns all records that a reader of committed records gets."""
        return self.fetch(place, 0, len(self._entries[place]))[0]
