"""Determines whether an instant lies in the quiet hours of a time zone, and when they end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from workers.core.playbook.policy import QuietHours

#: Within this many days every local clock reaches the end: a zone that crosses the date line skips a day.
_DAYS = 4


def ends_at(quiet: QuietHours, zone: str, now_s: float) -> float | None:
    """Returns the end of the quiet hours in force at `now_s` in `zone` (an IANA name) [s since the epoch]; None = none are.

    Local wall-clock time decides, also on days when clocks change: the end is the next instant at which the clock shows a
    time outside the quiet hours. Quiet hours may therefore last an hour more or less, and those that end within the hour that
    occurs twice begin again when that hour is repeated. The end is always after `now_s`.

    >>> night = QuietHours(start="22:00", end="08:00")
    >>> ends_at(night, "Asia/Shanghai", 0.0) is None  # 08:00 there
    True
    >>> ends_at(night, "Europe/London", 0.0) / 3600  # 01:00 there, summer time all the year in 1970
    7.0
    """
    if not _is_quiet(quiet, zone, now_s):
        return None
    end, today = _minute(quiet.end), _local(zone, now_s).date()
    ends = (
        datetime(day.year, day.month, day.day, end // 60, end % 60, tzinfo=_zone(zone), fold=fold).timestamp()
        for day in (today + timedelta(days=later) for later in range(_DAYS))
        for fold in (0, 1)
    )
    nearest_s = min(end_s for end_s in ends if end_s > now_s and not _is_quiet(quiet, zone, end_s))
    return _first_outside(quiet, zone, now_s, nearest_s)


def _first_outside(quiet: QuietHours, zone: str, now_s: float, end_s: float) -> float:
    """Returns the end or, if the clock is set forward past it, the earlier instant at which that happens."""
    low, high = int(now_s), int(end_s)
    offset = _local(zone, low).utcoffset()
    if _local(zone, high).utcoffset() == offset:
        return end_s
    while high - low > 1:  # the offset changes once between them
        middle = (low + high) // 2
        low, high = (middle, high) if _local(zone, middle).utcoffset() == offset else (low, middle)
    return float(high) if now_s < high < end_s and not _is_quiet(quiet, zone, high) else end_s


def _is_quiet(quiet: QuietHours, zone: str, at_s: float) -> bool:
    minute, start, end = _minutes(_local(zone, at_s)), _minute(quiet.start), _minute(quiet.end)
    return start <= minute < end if start <= end else minute >= start or minute < end


def _local(zone: str, at_s: float) -> datetime:
    return datetime.fromtimestamp(at_s, UTC).astimezone(_zone(zone))


def _minutes(local: datetime) -> int:
    return local.hour * 60 + local.minute


@lru_cache(maxsize=1024)
def is_known(zone: str) -> bool:
    """Returns whether this machine's time zone data have the zone: zone names come and go between versions.

    >>> is_known("Europe/Berlin"), is_known("Mars/Base")
    (True, False)
    """
    try:
        _zone(zone)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        return False
    return True


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _minute(time: str) -> int:
    hours, minutes = time.split(":")
    return int(hours) * 60 + int(minutes)
