"""Limits the dead letters of a lane.

Beyond the limit its worker stops: either all of its input or our code is broken, and a worker that stops with an error is better
than a topic full of dead letters.
"""

from __future__ import annotations

from collections import deque

import msgspec

#: The shares refer to this many of the newest records.
WINDOW = 1_000


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The tolerated failures. Shares are of the newest WINDOW records of a lane.

    `raised`: records that make our code raise; 1 = any number. `raised_in_a_row`: consecutive ones; 0 = any number.
    `dead_letters`: all records that became dead letters, including invalid events; 1 = any number.
    """

    raised: float = 0.5
    raised_in_a_row: int = 500
    dead_letters: float = 1.0


class Tolerance:
    """Counts a lane's records as they are applied. Shares are not evaluated before WINDOW records.

    >>> tolerance = Tolerance(Limits(raised_in_a_row=2))
    >>> [tolerance.may_raise(), tolerance.raised(), tolerance.may_raise(), tolerance.raised(), tolerance.may_raise()]
    [True, None, True, None, False]
    >>> tolerance.took(1)
    >>> tolerance.may_raise()
    True
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._in_a_row = 0
        self._parts: deque[tuple[int, int, int]] = deque()  # (records, those that raised, dead letters)
        self._records = self._raised = self._dead = 0

    def copy(self) -> Tolerance:
        """Returns a copy of the counts for a trial run."""
        other = Tolerance(self._limits)
        other._in_a_row, other._parts = self._in_a_row, self._parts.copy()
        other._records, other._raised, other._dead = self._records, self._raised, self._dead
        return other

    def took(self, records: int, dead_letters: int = 0) -> None:
        """Counts records that were applied without raising, some of them as dead letters."""
        if records:
            self._in_a_row = 0
            self._add(records, 0, min(dead_letters, records))

    def raised(self) -> None:
        """Counts one record that made our code raise and became a dead letter."""
        self._in_a_row += 1
        self._add(1, 1, 1)

    def may_raise(self) -> bool:
        """Returns whether one more record that raises is tolerated."""
        limits = self._limits
        if limits.raised_in_a_row and self._in_a_row >= limits.raised_in_a_row:
            return False
        return self._records < WINDOW or self._raised <= limits.raised * self._records

    def is_exceeded(self) -> bool:
        """Returns whether there are more dead letters of any kind than are tolerated."""
        return self._records >= WINDOW and self._dead > self._limits.dead_letters * self._records

    def _add(self, records: int, raised: int, dead: int) -> None:
        self._parts.append((records, raised, dead))
        self._records, self._raised, self._dead = self._records + records, self._raised + raised, self._dead + dead
        while self._records - self._parts[0][0] >= WINDOW:
            old = self._parts.popleft()
            self._records, self._raised, self._dead = (
                self._records - old[0],
                self._raised - old[1],
                self._dead - old[2],
            )
