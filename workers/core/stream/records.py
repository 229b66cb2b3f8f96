"""Input and output records, and the state store, as the core sees them. Adapters implement the Protocols."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One consumed Kafka record, undecoded. `topic` is the logical name, without the installation's prefix."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    appended_at_s: float
    headers: tuple[tuple[str, bytes], ...] = ()


#: Other producers may write any number as a time: before 1970, or microseconds for milliseconds [s since the epoch].
_LATEST_S = 4_102_444_800.0  # 2100


def append_time_s(timestamp_ms: int) -> float:
    """Returns a record's timestamp as seconds since the epoch, within the valid range of a clock.

    >>> append_time_s(1_500), append_time_s(-1), append_time_s(10**18)
    (1.5, 0.0, 4102444800.0)
    """
    return min(max(timestamp_ms / 1000, 0.0), _LATEST_S)


class Output(msgspec.Struct, frozen=True, gc=False):
    """One encoded record to produce. It goes to the partition of the lane that produces it, unless `partition` is set."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None


class StateStore(Protocol):
    """The committed state of one lane, as of its last transaction."""

    def get(self, key: bytes) -> bytes | None:
        """Returns the value of a key, or None."""
        ...

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[bytes]:
        """Yields the index keys that begin with `prefix`, from `start` on, in byte order."""
        ...
