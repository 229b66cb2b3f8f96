"""Tracks the time up to which everything that shops have sent is mapped, from the raw topics' ends and intake's offsets.

If intake's committed offsets at one time cover an end that was seen at an earlier time, then everything that was in the raw
topics at the earlier time is in `customer.events` at the later one. A lane that has read `customer.events` up to the later
time has seen everything sent by the earlier time. All times are by our own clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import msgspec

from workers.adapters.kafka.group_offsets import Place

#: Maximum number of ends that wait to be covered, spread evenly over twice the time that intake may lag; also of pairs.
_MAX_ENTRIES = 64


class Mapped(msgspec.Struct, frozen=True, kw_only=True):
    """All records in the raw topics at `until_s` were known to be mapped at `known_at_s` (monotonic) [s]."""

    until_s: float
    known_at_s: float


class MappedUntil:
    """The newest pairs. One thread calls `observe`, another `allows`: each reads only values that the other replaces whole."""

    def __init__(self, hold_lag_s: float) -> None:
        """`hold_lag_s`: the lag that intake may have [s]."""
        self._spacing_s = 2 * hold_lag_s / _MAX_ENTRIES
        self._ends: deque[tuple[float, dict[Place, int]]] = deque(maxlen=_MAX_ENTRIES)
        self._pairs: tuple[Mapped, ...] = ()

    def observe(
        self, requested_at_s: float, ends: Mapping[Place, int], known_at_s: float, applied: Mapping[Place, int]
    ) -> None:
        """Records an observation of the raw partitions' ends and of intake's committed offsets.

        When queried at `requested_at_s` the partitions ended at `ends` or later; at `known_at_s` intake had committed
        `applied` (their next offsets; a missing partition was never begun). A partition that is no longer in `ends` is not
        waited for: its topic was deleted, or removed from the group.
        """
        if len(self._ends) > 1 and requested_at_s - self._ends[-2][0] < self._spacing_s:
            self._ends.pop()
        self._ends.append((requested_at_s, dict(ends)))
        covered = None
        while self._ends and all(
            place not in ends or applied.get(place, 0) >= end for place, end in self._ends[0][1].items()
        ):
            covered = self._ends.popleft()
        if covered is not None:
            self._pairs = (*self._pairs[1 - _MAX_ENTRIES :], Mapped(until_s=covered[0], known_at_s=known_at_s))

    def allows(self, horizon_s: float, oldest_s: float) -> bool:
        """Returns whether a lane that has read `customer.events` up to `horizon_s` has seen all that shops sent by `oldest_s`.

        >>> until = MappedUntil(5.0)
        >>> until.observe(1.0, {("shop", 0): 7}, 1.1, {("shop", 0): 7})
        >>> until.allows(1.2, 0.5), until.allows(1.05, 0.5), until.allows(1.2, 1.01)
        (True, False, False)
        """
        return any(pair.until_s >= oldest_s and pair.known_at_s <= horizon_s for pair in self._pairs)

    @property
    def until_s(self) -> float:
        """The time up to which everything is mapped [s]; -inf if not known."""
        return self._pairs[-1].until_s if self._pairs else float("-inf")
