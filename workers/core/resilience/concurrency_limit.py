"""Limits the calls in flight to one server: additive increase, multiplicative decrease (AIMD), as in TCP.

Latency gradients are not used: a batching server (vLLM) gets slower per call but faster in total with every further call, so a
rule that interprets rising latency as a queue would throttle a healthy one. The limit therefore starts at the maximum and
decreases only on real signs of overload: timeouts, 429 and the like, or a queue that the server itself reports. (Chiu & Jain
1989; slow start and threshold as in RFC 5681.)
"""

from __future__ import annotations

import math

import msgspec

_DECREASE = 0.7
#: Weight of the newest call in the moving average of service time.
_NEWEST = 0.2
#: A few waiting requests keep a batch full: up to this many, or this share of the running ones, are not a queue.
_SLACK, _SLACK_SHARE = 1.0, 0.1
#: From this share on, the KV cache counts as full: more calls would only preempt each other.
_FULL_CACHE = 0.95
#: A server's own report is valid for this long [s].
_FRESH_S = 10.0


class ServerLoad(msgspec.Struct, frozen=True, kw_only=True):
    """A server's own load report, over all its clients. `kv_cache_usage` is a share of 1; None = not reported."""

    running: float
    waiting: float
    kv_cache_usage: float | None = None


class Limiter:
    """The limit of one server, between 1 and `max_calls`. Time is passed in [s, monotonic]."""

    def __init__(self, max_calls: int) -> None:
        self._max_calls = float(max_calls)
        self._limit = self._threshold = float(max_calls)
        self._cut_at_s = float("-inf")
        self._held_until_s = float("-inf")
        self._queues_seen = 0
        #: Moving average of the duration of successful calls [s]; None before the first one.
        self.service_s: float | None = None

    @property
    def limit(self) -> int:
        """The number of calls that may be in flight."""
        return int(self._limit)

    def succeeded(self, now_s: float, latency_s: float, in_flight: int) -> None:
        """Records a successful call, included in `in_flight`: raises the limit by 1 below the threshold, by 1 per round above it.

        A limit that is not in use is not raised, because nothing was learned about it.
        """
        known_s = latency_s if self.service_s is None else self.service_s
        self.service_s = known_s + _NEWEST * (latency_s - known_s)
        if now_s < self._held_until_s or 2 * in_flight < self.limit:
            return
        step = 1.0 if self._limit < self._threshold else 1.0 / self._limit
        self._limit = min(self._max_calls, self._limit + step)

    def overloaded(self, now_s: float) -> None:
        """Handles a sign of overload; the limit is cut once per round of calls."""
        self._cut(self._limit * _DECREASE, now_s)

    def restarted(self) -> None:
        """Resets the limit after an outage: one call, then a fast increase."""
        self._limit, self._threshold = 1.0, self._max_calls

    def load_reported(self, load: ServerLoad, now_s: float, in_flight: int) -> None:
        """Applies the server's load report. `in_flight`: our calls there.

        A queue reported twice in a row is moved back to our side, where priorities are known: a limit in use shrinks in
        proportion to the running calls, as does that of every other worker. While requests wait at the server, or its cache is
        full, the limit does not grow.
        """
        full = load.kv_cache_usage is not None and load.kv_cache_usage >= _FULL_CACHE
        if load.waiting > 0 or full:
            self._held_until_s = now_s + _FRESH_S
        if load.waiting <= max(_SLACK, _SLACK_SHARE * load.running) or load.running <= 0:
            self._queues_seen = 0
            return
        self._queues_seen += 1
        if self._queues_seen > 1 and 2 * in_flight >= self.limit:
            self._cut(math.ceil(self._limit * load.running / (load.running + load.waiting)), now_s)

    def _cut(self, limit: float, now_s: float) -> None:
        if now_s - self._cut_at_s >= (self.service_s or 0.0):
            self._limit = self._threshold = min(self._limit, max(1.0, limit))
            self._cut_at_s = now_s
