"""The clock of a lane: the wall clock, as long as the broker's clock does not contradict it.

Whenever a lane commits, the broker stamps the records (LogAppendTime). From that stamp and our own steady clock follows the
broker's time now. A wall clock that jumps can take a lane no further ahead of it than the tolerance.
"""

from __future__ import annotations

from datetime import UTC, datetime

from workers.core.common.timestamps import utc
from workers.core.errors import Misconfigured

#: A wall clock that the broker contradicts is checked again at this interval, by a commit that changes nothing [s].
ASK_AGAIN_S = 10.0


class BrokerTime:
    """One lane's estimate of the broker's clock. `steady_s` is of a monotonic clock, everything else since the epoch [s]."""

    def __init__(self, tolerance_s: float) -> None:
        self._tolerance_s = tolerance_s
        self._stamp: tuple[float, float] | None = None
        self._has_asked, self._asked_s = False, float("-inf")

    def heard(self, stamp_s: float, steady_s: float) -> None:
        """Records that the broker stamped a record with `stamp_s`, not before and hardly later than `steady_s`. The newest
        stamp counts.
        """
        self._stamp = stamp_s, steady_s

    def now_s(self, steady_s: float) -> float | None:
        """Returns the broker's time; None = it has never stamped anything.

        >>> time = BrokerTime(60.0)
        >>> time.heard(1_000.0, 5.0)
        >>> time.now_s(7.5)
        1002.5
        """
        return None if self._stamp is None else self._stamp[0] + steady_s - self._stamp[1]

    def bounded(self, wall_s: float, steady_s: float) -> float:
        """Returns the wall clock, limited to the tolerance ahead of the broker's clock. Without a stamp there is no limit.

        >>> time = BrokerTime(60.0)
        >>> time.heard(1_000.0, 5.0)
        >>> time.bounded(990.0, 6.0), time.bounded(2_600_000.0, 6.0)
        (990.0, 1061.0)
        """
        now_s = self.now_s(steady_s)
        return wall_s if now_s is None else min(wall_s, now_s + self._tolerance_s)

    def must_ask(self, wall_s: float, steady_s: float) -> bool:
        """Returns whether to ask the broker now: it has not stamped anything yet, or the wall clock contradicts it (then at
        most once in 10 s). The steady clock of a machine that was suspended is behind: the answer corrects that.
        """
        now_s = self.now_s(steady_s)
        if now_s is None:  # a broker that does not stamp the first marker stamps none
            first, self._has_asked = not self._has_asked, True
            return first
        if wall_s <= now_s + self._tolerance_s or steady_s < self._asked_s + ASK_AGAIN_S:
            return False
        self._asked_s = steady_s
        return True

    def start_s(self, lane: str, kept_s: float, wall_s: float, steady_s: float, *, reset: bool) -> float:
        """Returns the time at which a lane with the stored clock `kept_s` starts. `reset`: today's, if the stored one is
        impossible.

        Raises Misconfigured for a clock further ahead of the broker's than any lane can be, unless `reset`.
        """
        now_s = self.now_s(steady_s)
        # Twice: the lane may have been at the bound when another broker, slightly behind, took over its partition.
        if now_s is None or kept_s <= now_s + 2 * self._tolerance_s:
            return kept_s
        if reset:
            return self.bounded(wall_s, steady_s)
        raise Misconfigured(
            f"lane {lane}: its state was written when clocks said {_in_words(kept_s)}, and the broker's says {_in_words(now_s)}.",
            "correct the broker's clock if that is the wrong one; else start once with ATTUNE_RESET_CLOCK=1: the lane goes on "
            "with today's time (docs/operation.md)",
        )


def _in_words(at_s: float) -> str:
    return utc(datetime.fromtimestamp(at_s, UTC))
