"""Converts and formats instants."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo


def instant(at_s: float) -> datetime:
    """Returns seconds since the epoch as an aware datetime in UTC.

    >>> instant(0.0).isoformat()
    '1970-01-01T00:00:00+00:00'
    """
    return datetime.fromtimestamp(at_s, UTC)


def utc(moment: datetime) -> str:
    """Formats an instant for people, in UTC regardless of its zone.

    >>> utc(datetime.fromisoformat("2026-03-04T16:36:00+01:00"))
    '2026-03-04 15:36:00 UTC'
    """
    try:
        return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except OverflowError:  # within hours of the earliest or latest datetime: only a broken clock reports that
        return moment.isoformat()


def local(moment: datetime, zone: str | None) -> str:
    """Formats an instant in the customer's zone and in UTC; only in UTC if the zone is not known.

    >>> local(datetime.fromisoformat("2026-03-05T07:00:00Z"), "Europe/Berlin")
    '2026-03-05 08:00 Europe/Berlin (2026-03-05 07:00:00 UTC)'
    """
    try:
        return f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M} {zone} ({utc(moment)})" if zone else utc(moment)
    except (KeyError, ValueError, OSError):  # this machine has no zone of that name
        return utc(moment)
