"""Finds the records of a batch that make our code raise: a separate core tries them on a layer above the committed state.

Such a core is discarded. It is cheap to create, because it does not read the timers: none fires here. Each record is
applied about twice, however many raise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import merge

from workers.adapters.process import failpoints
from workers.core.errors import Fatal
from workers.core.partition import keys
from workers.core.stream.effects import Effects, Processor
from workers.core.stream.records import Record, StateStore

Build = Callable[[StateStore], Processor]
#: Errors that no record can cause: a broken disk, damaged state, lack of memory. Any other error is a bug of ours.
OUTSIDE = (Fatal, OSError, MemoryError)
#: Maximum number of such records found per batch; the records after them are processed again.
MAX_FOUND = 200


def search(
    build: Build, store: StateStore, records: list[Record], wall_s: float, beat: Callable[[], None]
) -> list[int]:
    """Returns the positions of the records that raise, at most MAX_FOUND, each tried after the earlier ones that do not.

    Empty if none raises, or if the core raises without a record. Calls `beat` at every step. Raises the errors of OUTSIDE.
    """
    layer, found, start = _Layer(store), list[int](), 0
    core = build(layer)
    while start < len(records) and len(found) < MAX_FOUND:
        beat()
        part = _Watched(records[start:])
        if attempt(core, part, wall_s) is not None:
            break
        good, effects, core = _longest_good(build, layer, part, wall_s, beat)
        if effects is None:
            break
        layer.take(effects)
        found.append(start + good)
        start += good + 1
    return found


def search_in_full(
    build: Build, store: StateStore, records: list[Record], wall_s: float, beat: Callable[[], None]
) -> list[int]:
    """Returns the position of the first record that raises, using cores that also read the timers: each is as slow as a start.

    Empty if none raises when applied without timers, or if the core raises without a record. Raises the errors of OUTSIDE.
    """
    watched = _Watched(records)
    if attempt(build(store), watched, wall_s) is not None:
        return []
    good, effects, _ = _longest_good(build, store, watched, wall_s, beat)
    return [] if effects is None else [good]


def attempt(core: Processor, records: list[Record], wall_s: float) -> Effects | None:
    """Returns a core's effects of the records, without timers; None if it raises, and can no longer be used."""
    try:
        return core.apply(records, wall_s, caught_up=False)
    except OUTSIDE:
        raise
    except Exception:  # noqa: BLE001 # any error: this is what the search is for
        return None


def _longest_good(
    build: Build, layer: StateStore, records: _Watched, wall_s: float, beat: Callable[[], None]
) -> tuple[int, Effects | None, Processor]:
    """Returns (how many leading records do not raise, their effects, the core that has them).

    The effects are None if the core raises even without a record. The record that was being processed when it raised is tried
    first; an error at the end of a batch is found by bisection.
    """
    good, bad, found, core = -1, len(records), None, build(layer)
    first = records.at
    while bad - good > 1:
        beat()
        middle = first if first >= 0 else (good + bad) // 2
        tried = core if middle == first else build(layer)
        effects = attempt(tried, _Watched(records[:middle]), wall_s)
        if effects is None:
            bad = middle
        else:
            good, found, core = middle, effects, tried
            if middle == first:
                break
        first = -1
    return good, found, core


class _Watched(list[Record]):
    """Records that track which of them is being processed; -1 = none yet."""

    at = -1

    def __iter__(self) -> Iterator[Record]:
        for self.at, record in enumerate(super().__iter__()):
            failpoints.poison([record])
            yield record


class _Layer:
    """The changes tried so far, on top of the committed state; implements core.stream.records.StateStore without timers."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._values: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        """Returns the value of a key, or None."""
        return self._values[key] if key in self._values else self._store.get(key)

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[bytes]:
        """Yields the keys that begin with `prefix`, from `start` on, in byte order."""
        if prefix.startswith(keys.TIMER):
            return
        above = sorted(key for key in self._values if key.startswith(prefix) and key >= start)
        last = None
        for key in merge(self._store.scan(prefix, start), above):
            if key != last and self._values.get(key, b"") is not None:
                yield key
            last = key

    def take(self, effects: Effects) -> None:
        """Applies changes as a commit would."""
        self._values.update(effects.puts)
        self._values.update(dict.fromkeys(effects.index_deletes))
        self._values.update(dict.fromkeys(effects.index_puts, b""))
