"""Reads the clocks: the only place that does, so that all other code can be given a time."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now_s() -> float:
    """Returns seconds since the epoch, UTC."""
    return time.time()


def utc_now() -> datetime:
    """Returns the current time as an aware datetime, UTC."""
    return datetime.now(UTC)


def monotonic_s() -> float:
    """Returns the seconds of a clock that never jumps, for durations."""
    return time.monotonic()
