"""The clock of a running lane: probes the broker's clock when needed, and logs which clock is wrong."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from workers.adapters.lanes.broker_time import BrokerTime
from workers.adapters.process import clock, failpoints
from workers.settings import Settings

log = logging.getLogger(__name__)

#: Commits the lane's marker unchanged, so that the broker stamps it and `LaneClock.observe` is called.
Probe = Callable[[], Awaitable[None]]

_WARN_INTERVAL_S = 60.0


class LaneClock:
    """The clock of one lane, bounded by the broker's timestamps in `changelog`.

    Without a changelog, and in a replay, the lane uses the wall clock as it is.
    """

    def __init__(self, lane: str, changelog: str | None, settings: Settings) -> None:
        self._lane, self._changelog = lane, changelog or ""
        self._bound = changelog is not None and settings.clock == "wall" and failpoints.checks_broker_time()
        self._tolerance_s, self._reset = settings.clock_tolerance_s, settings.reset_clock
        self._broker = BrokerTime(settings.clock_tolerance_s)
        self._warned_at_s = float("-inf")

    def observe(self, stamped: tuple[float, float] | None) -> None:
        """Records the broker's stamp of a marker (its time, our monotonic time) [s]; None: it does not stamp."""
        if stamped is not None:
            self._broker.observe(*stamped)

    async def now_s(self, probe: Probe) -> float:
        """Returns the time for the next batch [s since the epoch]. May commit: call it only where the lane may write."""
        wall_s = failpoints.wall_s(clock.now_s())
        if not self._bound:
            return wall_s
        await self._probe_if_needed(wall_s, probe)
        return self._broker.bounded(wall_s, clock.monotonic_s())

    async def start_s(self, stored_s: float, probe: Probe) -> float:
        """Returns the time at which a lane with the stored clock `stored_s` starts.

        Raises Misconfigured if the stored clock is in the future.
        """
        if not self._bound:
            return stored_s
        wall_s = clock.now_s()
        await self._probe_if_needed(wall_s, probe)
        began_s = self._broker.start_s(self._lane, stored_s, wall_s, clock.monotonic_s(), reset=self._reset)
        if began_s != stored_s:
            log.warning("lane %s: clock set back by %.0f s (reset_clock is on)", self._lane, stored_s - began_s)
        return began_s

    async def _probe_if_needed(self, wall_s: float, probe: Probe) -> None:
        if not self._broker.must_probe(wall_s, clock.monotonic_s()):
            return
        await probe()
        steady_s = clock.monotonic_s()
        now_s = self._broker.now_s(steady_s)
        if now_s is None:
            what = "lane %s: the broker does not timestamp %s (LogAppendTime); this machine's clock is used unchecked"
            log.warning(what, self._lane, self._changelog)
        elif abs(wall_s - now_s) > self._tolerance_s and steady_s >= self._warned_at_s + _WARN_INTERVAL_S:
            self._warned_at_s = steady_s
            log.warning(
                "lane %s: this machine's clock is %.0f s %s the broker's. Hint: run NTP on both",
                *(self._lane, abs(wall_s - now_s), "ahead of" if wall_s > now_s else "behind"),
            )
