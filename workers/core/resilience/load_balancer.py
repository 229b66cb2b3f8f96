"""Chooses the server for a call: healthy, lightly loaded and, if possible, with the prompt in its cache.

Equal prompts go to the same server, because its cache holds their prefix. Rendezvous hashing (Thaler & Ravishankar 1998) makes
all workers agree, and a server that is removed moves only its own prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from workers.core.resilience.circuit_breaker import Breaker, BreakerRule
from workers.core.resilience.concurrency_limit import Limiter

#: Loads that differ by at most this share of a limit count as equal; the cache then decides.
EQUAL_LOAD = 0.25


class Capacity(msgspec.Struct, frozen=True):
    """The capacity of the available servers: calls per second, and seconds per call."""

    calls_per_s: float
    service_s: float


class EndpointState:
    """The state of one server. `key` is the same for all workers (its URL)."""

    def __init__(self, key: str, max_calls: int, rule: BreakerRule | None = None) -> None:
        self.key = key
        self.breaker = Breaker(rule)
        self.limiter = Limiter(max_calls)
        self.in_flight = 0

    @property
    def load(self) -> float:
        """Calls in flight as a share of the limit."""
        return self.in_flight / self.limiter.limit

    def free(self, now_s: float) -> bool:
        """Returns whether it can take a call now; a probe may start while older calls are still in flight."""
        if self.breaker.wait_s(now_s) > 0:
            return False
        return self.breaker.state != "closed" or self.in_flight < self.limiter.limit


def choose(states: Sequence[EndpointState], affinity: str, now_s: float) -> EndpointState | None:
    """Returns the server for the next call; None = none is available now.

    A server whose probe is due comes first: it gets one call, which shows whether it has recovered. Among equals, a server
    whose last call failed comes last, so that the retry for that text goes to another.
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
    """Returns the rendezvous weight: the server with the highest is preferred.

    >>> weight("cart/en", "http://a") == weight("cart/en", "http://a") != weight("cart/de", "http://a")
    True
    """
    return blake2b(f"{affinity}\n{key}".encode(), digest_size=8).digest()


def wait_s(states: Sequence[EndpointState], now_s: float) -> float:
    """Returns the time until the first server may be called again [s]; 0 = one may now, if it has a free slot."""
    return min(state.breaker.wait_s(now_s) for state in states)


def capacity(states: Sequence[EndpointState], now_s: float) -> Capacity | None:
    """Returns the known capacity of the working servers; None = nothing is known yet."""
    known = [
        (state.limiter.limit, state.limiter.service_s)
        for state in states
        if state.limiter.service_s is not None and state.breaker.wait_s(now_s) == 0
    ]
    calls_per_s = sum(limit / max(service_s, 1e-6) for limit, service_s in known)
    return Capacity(calls_per_s, sum(limit for limit, _ in known) / calls_per_s) if known else None
