"""Priority queue for LLM calls; requests that cannot be served in time are shed.

Too many requests cost richness, not delivery: the least important get their template at once, the others their turn.
"""

from __future__ import annotations

from bisect import insort
from typing import Literal

import msgspec

from workers.core.resilience.load_balancer import Capacity

#: Of a text that nobody hears: the first to go. Others have 0 to 9, 9 is the most important.
GHOST = -1
HIGHEST = 9
#: So many requests may wait for each call that may be in flight.
ROOM_PER_SLOT = 16

#: Why a request is given up: its turn would come too late, the room is full, its patience ended while it waited.
ShedReason = Literal["late", "full", "waited"]


class QueuedCall(msgspec.Struct, eq=False, kw_only=True):
    """One waiting request. `begins_by_s`: when its call must have begun; `ends_by_s`: when it must have ended [s]."""

    priority: int
    begins_by_s: float
    ends_by_s: float
    number: int

    @property
    def rank(self) -> tuple[int, float, int]:
        """The most important first; among equals the one whose end is nearest."""
        return -self.priority, self.ends_by_s, self.number


def patience_s(priority: int, left_s: float) -> float:
    """How much of its remaining time a request may spend waiting: all of it (9), none of it (a ghost).

    >>> patience_s(9, 20.0), patience_s(4, 20.0), patience_s(GHOST, 20.0)
    (20.0, 10.0, 0.0)
    """
    return left_s * (min(max(priority, GHOST), HIGHEST) + 1) / (HIGHEST + 1)


class CallQueue:
    """All that wait, in order. `room` None: nobody is shed, all wait until their end (a replay, whose time stands still)."""

    def __init__(self, room: int | None) -> None:
        self._room = room
        self._places: list[QueuedCall] = []
        self._joined = 0

    def __len__(self) -> int:
        return len(self._places)

    def join(self, priority: int, now_s: float, left_s: float) -> QueuedCall:
        """A place in the line for a request that has `left_s` for all: waiting and the call."""
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
        """Served, shed or gone. May be called twice."""
        if place in self._places:
            self._places.remove(place)

    def first(self) -> QueuedCall | None:
        """Whose turn it is."""
        return self._places[0] if self._places else None

    def shed(self, now_s: float, capacity: Capacity | None) -> list[tuple[QueuedCall, ShedReason]]:
        """Takes out whoever cannot be served in time: position times recent service time, against its patience and its end.

        With `capacity` None nothing is known of the servers yet: then only what lies beyond the room goes, the least
        important and latest first. Those who go make the others' turn come earlier.
        """
        if self._room is None:
            return []
        gone: list[tuple[QueuedCall, ShedReason]] = [(place, "full") for place in self._places[self._room :]]
        kept: list[QueuedCall] = []
        for place in self._places[: self._room]:
            if _too_late(place, len(kept), now_s, capacity):
                gone.append((place, "late"))
            else:
                kept.append(place)
        self._places = kept
        return gone


def _too_late(place: QueuedCall, ahead: int, now_s: float, capacity: Capacity | None) -> bool:
    if capacity is None:
        return now_s >= place.begins_by_s
    turn_s = now_s + (ahead + 1) / capacity.calls_per_s
    return turn_s > place.begins_by_s or turn_s + capacity.service_s > place.ends_by_s
