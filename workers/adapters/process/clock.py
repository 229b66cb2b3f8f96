"""The wall clock: the only place that reads it, so that everything else can be given a time."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now_s() -> float:
    """Returns seconds since the epoch, UTC."""
    return time.time()


def utc_now() -> datetime:
    """Returns the same as an aware datetime."""
    return datetime.now(UTC)


def monotonic_s() -> float:
    """Returns seconds of a clock that never jumps, for durations."""
    return time.monotonic()
