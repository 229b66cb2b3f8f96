"""Instants as the wire has them."""

from __future__ import annotations

from datetime import UTC, datetime


def instant(at_s: float) -> datetime:
    """Seconds since the epoch as an aware datetime.

    >>> instant(0.0).isoformat()
    '1970-01-01T00:00:00+00:00'
    """
    return datetime.fromtimestamp(at_s, UTC)
