"""The clock of a partition, by which its timers fire: the wall clock in live operation, the time of the events in a replay."""

from __future__ import annotations

from typing import Literal

from workers.core.profile import dedupe
from workers.core.stream.records import Record

#: Header of a control record that ends a replay: the clock may advance to this time [s since the epoch].
PUNCTUATION = "attune-punctuation"


class WallClock:
    """Follows the wall clock and never goes back. A batch fires at most `timers_per_batch` timers, so that a transaction stays
    small after an outage. Times are epoch seconds.
    """

    is_live = True

    def __init__(self, now_s: float, timers_per_batch: int) -> None:
        self.now_s = now_s
        self._timers_per_batch = timers_per_batch

    def begin_batch(self, wall_s: float) -> None:
        """Sets the time of a batch."""
        self.now_s = max(self.now_s, wall_s)

    def punctuation(self, record: Record) -> float | None:
        """Returns None: only replays have control records."""
        return None

    def due_before(self, at_s: float) -> float | None:
        """Returns the time up to which timers fire before an event of time `at_s`; None = an event fires none."""
        return None

    def due_after_batch(self, caught_up: bool) -> float | None:
        """Returns the time up to which timers fire after the records of a batch; None = a backlog remains, so none fires."""
        return self.now_s if caught_up else None

    def is_too_late(self, at_s: float) -> bool:
        """Returns False: live, an event is applied however late it comes."""
        return False

    def may_fire(self, fired: int, awaited: int) -> bool:
        """Returns whether another timer may fire in this batch, after `fired` timers already have."""
        return fired < self._timers_per_batch

    def fires(self, due_s: float) -> None:
        """Changes nothing: a late timer fires at the current time."""

    def known_at(self, record: Record) -> float:
        """Returns the latest possible time of a statement in this record [s]: its append time in the log, not this clock's."""
        return record.appended_at_s if record.appended_at_s > 0 else self.now_s


class EventClock:
    """Follows the events, and stands still while texts are awaited: the same input gives the same decisions however slow the LLM
    is.
    """

    is_live = False

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s

    def begin_batch(self, wall_s: float) -> None:
        """Changes nothing."""

    def punctuation(self, record: Record) -> float | None:
        """Returns the time to which a control record advances the clock; None = it is not a control record."""
        if record.value is not None:
            return None
        return next((float(value) for name, value in record.headers if name == PUNCTUATION), None)

    def due_before(self, at_s: float) -> float | None:
        """Returns the time of the event: timers that were due earlier fire first."""
        return at_s

    def due_after_batch(self, caught_up: bool) -> float | None:
        """Returns None: only the next event advances the clock."""
        return None

    def is_too_late(self, at_s: float) -> bool:
        """Returns whether the ids of events of that time may have been dropped: it could be a duplicate."""
        return at_s < self.now_s - dedupe.KEEP_HOURS * 3600

    def may_fire(self, fired: int, awaited: int) -> bool:
        """Returns whether no text is awaited."""
        return awaited == 0

    def fires(self, due_s: float) -> None:
        """Advances to the time of a timer that fires."""
        self.now_s = max(self.now_s, due_s)

    def known_at(self, record: Record) -> float:
        """Returns the time of this clock: append times are those of the replay."""
        return self.now_s


PartitionClock = WallClock | EventClock


def make_clock(kind: Literal["wall", "event"], now_s: float, timers_per_batch: int) -> PartitionClock:
    """Returns the clock of a partition whose time is `now_s` [s since the epoch]."""
    return WallClock(now_s, timers_per_batch) if kind == "wall" else EventClock(now_s)
