"""The clock of a lane of `learn`: the wall clock in live operation, the time of decisions and orders in a replay."""

from __future__ import annotations

from typing import Literal

from workers.core.stream.records import Record


class WallClock:
    """Follows the wall clock and never goes back. Timers and snapshots have the same time [epoch s]."""

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s

    @property
    def timers_s(self) -> float:
        """The time by which timers fire."""
        return self.now_s

    def begin_batch(self, wall_s: float) -> None:
        """Sets the time of a batch."""
        self.now_s = max(self.now_s, wall_s)

    def saw_decision(self, at_s: float) -> None:
        """Changes nothing."""

    def saw_order(self, at_s: float) -> None:
        """Changes nothing."""

    def not_after(self, at_s: float) -> float:
        """Returns a stored time, or the current time if that is earlier.

        After the clock has been set back, nothing may be sealed beyond the current time.
        """
        return min(at_s, self.now_s) if self.now_s else at_s

    def read_at_s(self, record: Record) -> float | None:
        """Returns the time after which a timestamp lies in the future [s]; None = no timestamp does.

        The broker's append time counts as well, so that no record is refused because this clock is slow.
        """
        return max(self.now_s, record.appended_at_s)

    def snapshot_due(self, at_s: float, *, idle: bool) -> bool:
        """Returns whether a snapshot that is due at `at_s` is published now. `idle`: there is no more input."""
        return self.now_s >= at_s


class EventClock:
    """Follows the records. In a replay orders run ahead of decisions, so only decisions and outcomes advance the timers."""

    def __init__(self, now_s: float, decided_s: float) -> None:
        self.now_s = now_s
        self.timers_s = decided_s

    def begin_batch(self, wall_s: float) -> None:
        """Changes nothing."""

    def saw_decision(self, at_s: float) -> None:
        """Advances to the time of a decision or outcome."""
        self.timers_s = max(self.timers_s, at_s)
        self.now_s = max(self.now_s, at_s)

    def saw_order(self, at_s: float) -> None:
        """Advances to the time of an order; the timers do not advance."""
        self.now_s = max(self.now_s, at_s)

    def not_after(self, at_s: float) -> float:
        """Returns the stored time."""
        return at_s

    def read_at_s(self, record: Record) -> float | None:
        """Returns None: in a replay no timestamp lies in the future."""
        return None

    def snapshot_due(self, at_s: float, *, idle: bool) -> bool:
        """Returns whether a snapshot is published now: also when there is no more input, because the replay may have ended."""
        return idle or self.now_s >= at_s


LearnClock = WallClock | EventClock


def make_clock(kind: Literal["wall", "event"], now_s: float, sealed_until_s: float) -> LearnClock:
    """Returns the clock of a lane whose time is `now_s` and that has sealed decisions until `sealed_until_s` [both epoch s]."""
    return WallClock(now_s) if kind == "wall" else EventClock(now_s, sealed_until_s)
