"""The clock of a lane: the wall clock, as long as the broker's clock does not contradict it.

Whenever a lane commits, the broker timestamps the records (LogAppendTime). That timestamp and our own monotonic clock give
the broker's current time. A wall clock that jumps cannot take a lane further ahead of it than the tolerance.
"""

from __future__ import annotations

from datetime import UTC, datetime

from workers.core.common.timestamps import utc
from workers.core.errors import Misconfigured

#: Interval at which a wall clock that the broker contradicts is checked again, by a commit that changes nothing [s].
PROBE_INTERVAL_S = 10.0


class BrokerTime:
    """One lane's estimate of the broker's clock. `steady_s` is monotonic, all other times are since the epoch [s]."""

    def __init__(self, tolerance_s: float) -> None:
        self._tolerance_s = tolerance_s
        self._stamp: tuple[float, float] | None = None
        self._has_probed, self._probed_at_s = False, float("-inf")

    def observe(self, stamp_s: float, steady_s: float) -> None:
        """Records that the broker stamped a record with `stamp_s`, no earlier and hardly later than `steady_s`.

        The newest stamp counts.
        """
        self._stamp = stamp_s, steady_s

    def now_s(self, steady_s: float) -> float | None:
        """Returns the broker's time; None if it has never stamped anything.

        >>> time = BrokerTime(60.0)
        >>> time.observe(1_000.0, 5.0)
        >>> time.now_s(7.5)
        1002.5
        """
        return None if self._stamp is None else self._stamp[0] + steady_s - self._stamp[1]

    def bounded(self, wall_s: float, steady_s: float) -> float:
        """Returns the wall clock, limited to the tolerance ahead of the broker's clock. Without a stamp there is no limit.

        >>> time = BrokerTime(60.0)
        >>> time.observe(1_000.0, 5.0)
        >>> time.bounded(990.0, 6.0), time.bounded(2_600_000.0, 6.0)
        (990.0, 1061.0)
        """
        now_s = self.now_s(steady_s)
        return wall_s if now_s is None else min(wall_s, now_s + self._tolerance_s)

    def must_probe(self, wall_s: float, steady_s: float) -> bool:
        """Returns whether the lane must probe the broker's clock now.

        It must if the broker has not stamped anything yet, or if the wall clock contradicts it (at most once in 10 s). On a
        machine that was suspended the monotonic clock lags; the probe corrects that.
        """
        now_s = self.now_s(steady_s)
        if now_s is None:  # a broker that does not stamp the first marker does not stamp any
            first, self._has_probed = not self._has_probed, True
            return first
        if wall_s <= now_s + self._tolerance_s or steady_s < self._probed_at_s + PROBE_INTERVAL_S:
            return False
        self._probed_at_s = steady_s
        return True

    def start_s(self, lane: str, stored_s: float, wall_s: float, steady_s: float, *, reset: bool) -> float:
        """Returns the time at which a lane with the stored clock `stored_s` starts.

        Raises Misconfigured if that clock is further ahead of the broker's than any lane can be; with `reset` the lane starts
        at the current time instead.
        """
        now_s = self.now_s(steady_s)
        # Twice: the lane may have been at the limit when another broker, whose clock lags a little, took over its partition.
        if now_s is None or stored_s <= now_s + 2 * self._tolerance_s:
            return stored_s
        if reset:
            return self.bounded(wall_s, steady_s)
        raise Misconfigured(
            f"lane {lane}: its stored clock is {_utc_text(stored_s)}, but the broker's clock is {_utc_text(now_s)}.",
            "correct the broker's clock if it is wrong; otherwise start once with ATTUNE_RESET_CLOCK=1: the lane continues "
            "with the current time (docs/operation.md)",
        )


def _utc_text(at_s: float) -> str:
    return utc(datetime.fromtimestamp(at_s, UTC))
