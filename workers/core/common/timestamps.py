"""Instants as the wire has them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo


def instant(at_s: float) -> datetime:
    """Seconds since the epoch as an aware datetime.

    >>> instant(0.0).isoformat()
    '1970-01-01T00:00:00+00:00'
    """
    return datetime.fromtimestamp(at_s, UTC)


def utc(moment: datetime) -> str:
    """An instant as people read it here, whatever zone it was written in.

    >>> utc(datetime.fromisoformat("2026-03-04T16:36:00+01:00"))
    '2026-03-04 15:36:00 UTC'
    """
    try:
        return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except OverflowError:  # the first or last hours of all years, in a zone: only a broken clock says so
        return moment.isoformat()


def local(moment: datetime, zone: str | None) -> str:
    """An instant on the customer's clock, where it is known.

    >>> local(datetime.fromisoformat("2026-03-05T07:00:00Z"), "Europe/Berlin")
    '2026-03-05 08:00 Europe/Berlin (2026-03-05 07:00:00 UTC)'
    """
    try:
        return f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M} {zone} ({utc(moment)})" if zone else utc(moment)
    except (KeyError, ValueError, OSError):  # no zone of that name is known here
        return utc(moment)
