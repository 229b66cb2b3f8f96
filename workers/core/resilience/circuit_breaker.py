"""The circuit breaker of one server: repeated failures take it out of rotation for a while; then one call tests it.

Closed → open after several failures in a row, or when too large a share of recent calls failed. Open → half-open when the open
time is over: one call, the probe, goes through. Its success closes the breaker; its failure opens it for twice as long. (M.
Nygard, Release It!, 2nd ed. 2018, ch. 5; the share over a window as in resilience4j.)
"""

from __future__ import annotations

from collections import deque
from typing import Literal

import msgspec

State = Literal["closed", "half_open", "open"]
#: Callers retry after this pause while a probe is in flight [s].
PROBE_PAUSE_S = 1.0
_REMEMBERED_CALLS = 200


class BreakerRule(msgspec.Struct, frozen=True, kw_only=True):
    """The conditions for opening and the open time. `enabled` False: the breaker never opens."""

    enabled: bool = True
    in_a_row: int = 5
    """The number of consecutive failures that opens it."""
    share: float = 0.5
    """The share of failures among the calls of the last `window_s` that opens it, if there are at least `min_calls`."""
    window_s: float = 30.0
    min_calls: int = 10
    first_open_s: float = 1.0
    max_open_s: float = 20.0
    """Open times double up to this maximum, and start again from `first_open_s` after `window_s` without failures."""


class Breaker:
    """The state of one server. Time is passed in [s, monotonic].

    `begin` returns a token: results of calls that began before the last state change are ignored.
    """

    def __init__(self, rule: BreakerRule | None = None) -> None:
        self.state: State = "closed"
        self._rule = rule or BreakerRule()
        self._era = 0
        self._in_a_row = 0
        self._recent: deque[tuple[float, bool]] = deque(maxlen=_REMEMBERED_CALLS)
        self._trips = 0
        self._until_s = 0.0
        self._closed_at_s = float("-inf")

    @property
    def failing(self) -> bool:
        """True if the newest call failed."""
        return self._in_a_row > 0

    def wait_s(self, now_s: float) -> float:
        """Returns 0 if a call may start now, otherwise the time until one may [s]."""
        match self.state:
            case "closed":
                return 0.0
            case "half_open":
                return PROBE_PAUSE_S
            case "open":
                return max(0.0, self._until_s - now_s)

    def begin(self, now_s: float) -> int:
        """Starts a call and returns its token; allowed only when `wait_s` is 0. An open breaker's first call is its probe."""
        if self.state == "open" and now_s >= self._until_s:
            self._enter("half_open")
        return self._era

    def succeeded(self, token: int, now_s: float) -> bool:
        """Records a successful call. Returns whether this closed the breaker."""
        if token != self._era:
            return False
        self._in_a_row = 0
        self._recent.append((now_s, False))
        if self.state != "half_open":
            return False
        self._closed_at_s = now_s
        self._enter("closed")
        return True

    def failed(self, token: int, now_s: float, retry_after_s: float | None = None) -> bool:
        """Records a failed call; `retry_after_s` extends the open time. Returns whether this opened the breaker."""
        if not self._rule.enabled or token != self._era or self.state == "open":
            return False
        self._in_a_row += 1
        self._recent.append((now_s, True))
        if self.state == "half_open" or retry_after_s or self._in_a_row >= self._rule.in_a_row or self._too_many(now_s):
            self.trip(now_s, retry_after_s)
            return True
        return False

    def abandoned(self, token: int, now_s: float) -> None:
        """Records a call that ended without a result; a probe's slot becomes free again."""
        if token == self._era and self.state == "half_open":
            self._until_s = now_s
            self._enter("open")

    def trip(self, now_s: float, retry_after_s: float | None = None) -> None:
        """Opens the breaker now, because the server is known to be down."""
        if not self._rule.enabled:
            return
        if self.state == "closed" and now_s - self._closed_at_s > self._rule.window_s:
            self._trips = 0
        open_s = min(self._rule.first_open_s * 2.0**self._trips, self._rule.max_open_s)
        self._trips = min(self._trips + 1, 32)  # far beyond the longest time, and far below overflow
        self._until_s = now_s + max(open_s, retry_after_s or 0.0)
        self._enter("open")

    def _enter(self, state: State) -> None:
        self.state = state
        self._era += 1
        self._in_a_row = 0
        self._recent.clear()

    def _too_many(self, now_s: float) -> bool:
        while self._recent[0][0] < now_s - self._rule.window_s:
            self._recent.popleft()
        failures = sum(failed for _, failed in self._recent)
        return len(self._recent) >= self._rule.min_calls and failures >= self._rule.share * len(self._recent)
