"""Priority queue for LLM calls; requests that cannot be served in time are shed.

Overload costs personalisation, not delivery: the least important requests get their template at once, the others wait.
"""

from __future__ import annotations

from bisect import insort
from typing import Literal

import msgspec

from workers.core.resilience.load_balancer import Capacity

#: Priority of a text that is never sent: shed first. Others have 0 to 9; 9 is the most important.
GHOST = -1
HIGHEST = 9
#: This many requests may wait per call that may be in flight.
ROOM_PER_SLOT = 16

#: The reason why a request is shed: its turn would come too late, the queue is full, or its patience ended while it waited.
ShedReason = Literal["late", "full", "waited"]


class QueuedCall(msgspec.Struct, eq=False, kw_only=True):
    """One waiting request. `begins_by_s`: latest start of its call; `ends_by_s`: latest end [s]."""

    priority: int
    begins_by_s: float
    ends_by_s: float
    number: int

    @property
    def rank(self) -> tuple[int, float, int]:
        """Orders by priority, most important first; among equals, the earliest end first."""
        return -self.priority, self.ends_by_s, self.number


def patience_s(priority: int, left_s: float) -> float:
    """Returns how long a request may wait, from all of its remaining time (priority 9) to none of it (a ghost).

    >>> patience_s(9, 20.0), patience_s(4, 20.0), patience_s(GHOST, 20.0)
    (20.0, 10.0, 0.0)
    """
    return left_s * (min(max(priority, GHOST), HIGHEST) + 1) / (HIGHEST + 1)


class CallQueue:
    """The waiting requests, in order. `room` None: none is shed (in a replay, whose clock stands still)."""

    def __init__(self, room: int | None) -> None:
        self._room = room
        self._places: list[QueuedCall] = []
        self._joined = 0

    def __len__(self) -> int:
        return len(self._places)

    def join(self, priority: int, now_s: float, left_s: float) -> QueuedCall:
        """Adds a request that has `left_s` for both waiting and the call; returns its place in the queue."""
        self._joined += 1
        patience = left_s if self._room is None else patience_s(priority, left_s)
        place = QueuedCall(
            priority=priority,
            begins_by_s=now_s + patience,
            ends_by_s=now_s + left_s,
            number=self._joined,
        )
        insort(self._places, place, key=lambda waiting: waiting.rank)
        return place

    def leave(self, place: QueuedCall) -> None:
        """Removes a request that was served, shed or cancelled. May be called twice."""
        if place in self._places:
            self._places.remove(place)

    def first(self) -> QueuedCall | None:
        """Returns the request whose turn is next; None = the queue is empty."""
        return self._places[0] if self._places else None

    def shed(self, now_s: float, capacity: Capacity | None) -> list[tuple[QueuedCall, ShedReason]]:
        """Removes requests that cannot be served in time: position times recent service time, against their patience and end.

        With `capacity` None nothing is known about the servers yet: requests beyond the room are removed, the least important
        and latest first, and those whose patience is over. Each removal moves up the requests after it.
        """
        if self._room is None:
            return []
        shed: list[tuple[QueuedCall, ShedReason]] = [(place, "full") for place in self._places[self._room :]]
        kept: list[QueuedCall] = []
        for place in self._places[: self._room]:
            if _too_late(place, len(kept), now_s, capacity):
                shed.append((place, "late"))
            else:
                kept.append(place)
        self._places = kept
        return shed


def _too_late(place: QueuedCall, ahead: int, now_s: float, capacity: Capacity | None) -> bool:
    if capacity is None:
        return now_s >= place.begins_by_s
    turn_s = now_s + (ahead + 1) / capacity.calls_per_s
    return turn_s > place.begins_by_s or turn_s + capacity.service_s > place.ends_by_s
