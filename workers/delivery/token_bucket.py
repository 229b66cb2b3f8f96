"""Limits the rate at which a sender sends messages, with a token bucket."""

from __future__ import annotations


class TokenBucket:
    """Allows at most `rate_per_s`, with a burst of one second's worth (at least one token). Not thread-safe.

    >>> bucket = TokenBucket(2.0)
    >>> [bucket.take(now_s) for now_s in (0.0, 0.0, 0.0, 0.4, 0.5)]
    [True, True, False, False, True]
    """

    def __init__(self, rate_per_s: float) -> None:
        """Starts with a full bucket. Raises ValueError unless the rate is above 0."""
        if rate_per_s <= 0:
            raise ValueError("the rate must be above 0")
        self._rate_per_s = rate_per_s
        self._capacity = max(1.0, rate_per_s)
        self._tokens = self._capacity
        self._refilled_at_s: float | None = None

    def take(self, now_s: float) -> bool:
        """Takes a token if there is one. If the clock jumps back, only the length of the jump is lost."""
        elapsed_s = 0.0 if self._refilled_at_s is None else max(0.0, now_s - self._refilled_at_s)
        self._refilled_at_s = now_s
        self._tokens = min(self._capacity, self._tokens + elapsed_s * self._rate_per_s)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
