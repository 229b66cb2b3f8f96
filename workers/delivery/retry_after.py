"""Parses the header Retry-After (RFC 9110, 10.2.3): seconds, or a date. Pure."""

from __future__ import annotations

import math
from email.utils import parsedate_to_datetime


def retry_after_s(value: str | None, date: str | None) -> float | None:
    """Returns the delay before a retry [s]; None = absent or unreadable. A date is relative to `date`, the same response's Date.

    Neither the other side's clock nor ours needs to be correct.

    >>> retry_after_s("7", None), retry_after_s("-1", None), retry_after_s("soon", None)
    (7.0, None, None)
    >>> retry_after_s("Fri, 31 Dec 1999 23:59:59 GMT", "Fri, 31 Dec 1999 23:59:29 GMT")
    30.0
    """
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        return _between(date, value)
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _between(begin: str | None, end: str) -> float | None:
    try:
        return max(0.0, (parsedate_to_datetime(end) - parsedate_to_datetime(begin or "")).total_seconds())
    except (TypeError, ValueError, OverflowError):  # not a date; only one has a time zone; the year 30,000
        return None
