"""Chooses the server of a call: healthy, with little load, if possible one that has the prompt in its cache.

Equal prompts go to the same server, because it holds their prefix in its cache: by rendezvous hashing (Thaler &
Ravishankar 1998), so that all workers agree and a server that leaves moves only its own prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from workers.core.resilience.circuit_breaker import Breaker, BreakerRule
from workers.core.resilience.concurrency_limit import Limiter

#: Loads that differ by no more than this share of a limit count as equal; the cache then decides.
EQUAL_LOAD = 0.25


class Capacity(msgspec.Struct, frozen=True):
    """What the available servers do: calls a second, and seconds a call."""

    calls_per_s: float
    service_s: float


class EndpointState:
    """What is known of one server. `key` is the same for all workers (its URL)."""

    def __init__(self, key: str, most: int, rule: BreakerRule | None = None) -> None:
        self.key = key
        self.breaker = Breaker(rule)
        self.limiter = Limiter(most)
        self.in_flight = 0

    @property
    def load(self) -> float:
        """Calls in flight as a share of the limit."""
        return self.in_flight / self.limiter.limit

    def free(self, now_s: float) -> bool:
        """Returns whether it can take a call now; a probe may go although older calls still hang."""
        if self.breaker.wait_s(now_s) > 0:
            return False
        return self.breaker.state != "closed" or self.in_flight < self.limiter.limit


def choose(states: Sequence[EndpointState], affinity: str, now_s: float) -> EndpointState | None:
    """Who takes the next call; None = nobody can now.

    One whose probe is due goes first: it gets one call, and we learn whether it is back. Among equals one whose last call
    failed comes last, so that the next try of that text meets another server.
    """
    free = [state for state in states if state.free(now_s)]
    if not free:
        return None
    for state in free:
        if state.breaker.state != "closed":
            return state
    least = min(state.load for state in free)
    equal = [state for state in free if state.load <= least + EQUAL_LOAD]
    if len(equal) == 1:
        return equal[0]
    return max(equal, key=lambda state: (not state.breaker.failing, weight(affinity, state.key)))


def weight(affinity: str, key: str) -> bytes:
    """The rendezvous weight: the server with the highest is preferred.

    >>> weight("cart/en", "http://a") == weight("cart/en", "http://a") != weight("cart/de", "http://a")
    True
    """
    return blake2b(f"{affinity}\n{key}".encode(), digest_size=8).digest()


def wait_s(states: Sequence[EndpointState], now_s: float) -> float:
    """Until the first server may be called again [s]; 0 = one may now, if it has room."""
    return min(state.breaker.wait_s(now_s) for state in states)


def capacity(states: Sequence[EndpointState], now_s: float) -> Capacity | None:
    """Of the servers that work, as far as it is known; None = nothing is known yet."""
    known = [
        (state.limiter.limit, state.limiter.service_s)
        for state in states
        if state.limiter.service_s is not None and state.breaker.wait_s(now_s) == 0
    ]
    calls_per_s = sum(limit / max(service_s, 1e-6) for limit, service_s in known)
    return Capacity(calls_per_s, sum(limit for limit, _ in known) / calls_per_s) if known else None
