"""Tracks up to when everything that shops have sent is mapped, by our own clock: ends of the raw topics and intake's offsets.

An end that was seen at one moment and is covered by intake's committed offsets at a later one means: what was in the raw
topics at the first moment was in `customer.events` at the second. A lane that knows `customer.events` up to that second moment
knows what the shop knew at the first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import msgspec

from workers.adapters.kafka.group_offsets import Place

#: So many ends wait to be covered, evenly over twice the time that intake may be behind; and so many pairs to be asked for.
_MOST = 64


class Mapped(msgspec.Struct, frozen=True, kw_only=True):
    """What was in the raw topics at `until_s` had been mapped when we saw it, at `known_at_s` (monotonic) [s]."""

    until_s: float
    known_at_s: float


class MappedUntil:
    """The newest of such pairs. `looked` by one thread, `allows` by another: each only reads what the other replaces whole."""

    def __init__(self, hold_lag_s: float) -> None:
        """`hold_lag_s`: how far behind intake may be."""
        self._spacing_s = 2 * hold_lag_s / _MOST
        self._ends: deque[tuple[float, dict[Place, int]]] = deque(maxlen=_MOST)
        self._pairs: tuple[Mapped, ...] = ()

    def looked(
        self, asked_at_s: float, ends: Mapping[Place, int], known_at_s: float, applied: Mapping[Place, int]
    ) -> None:
        """The raw partitions ended at `ends` or later when asked at `asked_at_s`; at `known_at_s` intake had committed
        `applied` (their next offsets; what is missing was never begun). Partitions that are no longer among them are waited
        for no more: their topic was deleted, or taken out of the group.
        """
        if len(self._ends) > 1 and asked_at_s - self._ends[-2][0] < self._spacing_s:
            self._ends.pop()
        self._ends.append((asked_at_s, dict(ends)))
        covered = None
        while self._ends and all(
            place not in ends or applied.get(place, 0) >= end for place, end in self._ends[0][1].items()
        ):
            covered = self._ends.popleft()
        if covered is not None:
            self._pairs = (*self._pairs[1 - _MOST :], Mapped(until_s=covered[0], known_at_s=known_at_s))

    def allows(self, horizon_s: float, oldest_s: float) -> bool:
        """Returns whether a lane that knows `customer.events` up to `horizon_s` knows what shops had sent by `oldest_s`.

        >>> until = MappedUntil(5.0)
        >>> until.looked(1.0, {("shop", 0): 7}, 1.1, {("shop", 0): 7})
        >>> until.allows(1.2, 0.5), until.allows(1.05, 0.5), until.allows(1.2, 1.01)
        (True, False, False)
        """
        return any(pair.until_s >= oldest_s and pair.known_at_s <= horizon_s for pair in self._pairs)

    @property
    def until_s(self) -> float:
        """Up to when everything is mapped [s]; -inf = not known."""
        return self._pairs[-1].until_s if self._pairs else float("-inf")
