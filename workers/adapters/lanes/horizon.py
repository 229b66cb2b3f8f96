"""Tracks the time up to which a lane has read its source, by our own clock, whatever the broker's clock says.

Every fetch response contains the end of the source at the time of the request (its high watermark, which includes records
of open transactions). Once the lane has everything before that end, it has read all that was in the log at that time.
"""

from __future__ import annotations

from collections import deque
from threading import Lock

#: The horizon of a source that has never been read to an end.
NEVER_S = float("-inf")
#: Maximum number of ends kept until they are reached, spread evenly over twice the time that a lane may lag.
_ENDS = 64


class Horizon:
    """Tracks the time up to which one lane has read one of its sources.

    `hold_lag_s`: the lag at which a lane still counts as caught up [s]. One thread reports the source's end offsets, another
    reads the result; all times are from the same monotonic clock [s].
    """

    def __init__(self, hold_lag_s: float) -> None:
        self._spacing_s = 2 * hold_lag_s / _ENDS
        self._ends: deque[tuple[float, int]] = deque(maxlen=_ENDS)  # oldest first; times and offsets only increase
        self._reached_s = NEVER_S
        self._lock = Lock()

    def ended(self, end: int, requested_at_s: float) -> None:
        """Records that the source ended at `end` (its next offset), or later, at the time `requested_at_s` of the request."""
        with self._lock:
            if len(self._ends) > 1 and requested_at_s - self._ends[-2][0] < self._spacing_s:
                self._ends.pop()
            self._ends.append((requested_at_s, end))

    def reached_s(self, position: int) -> float:
        """Returns the time up to which a reader of everything before `position` has read the log; NEVER_S if not known.

        >>> horizon = Horizon(5.0)
        >>> horizon.ended(10, 1.0), horizon.ended(20, 2.0)
        (None, None)
        >>> horizon.reached_s(9), horizon.reached_s(19), horizon.reached_s(20)
        (-inf, 1.0, 2.0)
        """
        with self._lock:
            while self._ends and self._ends[0][1] <= position:
                self._reached_s = self._ends.popleft()[0]
            return self._reached_s
