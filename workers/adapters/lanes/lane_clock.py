"""The clock of a running lane: asks the broker for its time where needed, and reports which clock is wrong."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from workers.adapters.lanes.broker_time import BrokerTime
from workers.adapters.process import clock, failpoints
from workers.settings import Settings

log = logging.getLogger(__name__)

Ask = Callable[[], Awaitable[None]]

_TELL_AGAIN_S = 60.0


class LaneClock:
    """`changelog` is stamped by the broker; without one, and in a replay, the lane uses the wall clock as it is.

    Methods with `ask`: it commits the lane's marker unchanged, so that `heard` is called.
    """

    def __init__(self, lane: str, changelog: str | None, settings: Settings) -> None:
        self._lane, self._changelog = lane, changelog or ""
        self._bound = changelog is not None and settings.clock == "wall" and failpoints.minds_broker_time()
        self._tolerance_s, self._reset = settings.clock_tolerance_s, settings.reset_clock
        self._broker = BrokerTime(settings.clock_tolerance_s)
        self._told_s = float("-inf")

    def heard(self, stamped: tuple[float, float] | None) -> None:
        """Records the broker's stamp of a marker (its time, our steady clock's) [s]; None = it does not stamp."""
        if stamped is not None:
            self._broker.heard(*stamped)

    async def now_s(self, ask: Ask) -> float:
        """Returns the time for the next batch [s since the epoch]. May commit: call it only where the lane may write."""
        wall_s = failpoints.wall_s(clock.now_s())
        if not self._bound:
            return wall_s
        await self._ask_if_needed(wall_s, ask)
        return self._broker.bounded(wall_s, clock.monotonic_s())

    async def start_s(self, kept_s: float, ask: Ask) -> float:
        """Returns the time at which a lane with the stored clock `kept_s` starts. Raises Misconfigured for one from the
        future.
        """
        if not self._bound:
            return kept_s
        wall_s = clock.now_s()
        await self._ask_if_needed(wall_s, ask)
        began_s = self._broker.start_s(self._lane, kept_s, wall_s, clock.monotonic_s(), reset=self._reset)
        if began_s != kept_s:
            log.warning("lane %s: its clock is set back by %.0f s, as reset_clock says", self._lane, kept_s - began_s)
        return began_s

    async def _ask_if_needed(self, wall_s: float, ask: Ask) -> None:
        if not self._broker.must_ask(wall_s, clock.monotonic_s()):
            return
        await ask()
        steady_s = clock.monotonic_s()
        now_s = self._broker.now_s(steady_s)
        if now_s is None:
            what = "lane %s: the broker stamps no records of %s (LogAppendTime), so its clock is this machine's alone"
            log.warning(what, self._lane, self._changelog)
        elif abs(wall_s - now_s) > self._tolerance_s and steady_s >= self._told_s + _TELL_AGAIN_S:
            self._told_s = steady_s
            log.warning(
                "lane %s: this machine's clock is %.0f s %s the broker's. Cure: NTP on both",
                *(self._lane, abs(wall_s - now_s), "ahead of" if wall_s > now_s else "behind"),
            )
