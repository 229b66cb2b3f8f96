"""Quiet hours in the customer's zone: whether an instant lies in them, and when they end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from workers.core.house_rules import QuietHours


def ends_at(quiet: QuietHours, zone: str, now_s: float) -> float | None:
    """The end of the quiet hours that hold at `now_s` in `zone` (an IANA name) [s since the epoch]; None = they do not.

    Wall-clock times hold on days on which the clocks change: a night is then an hour longer or shorter. An end that the
    change skips is taken as if the clocks had not changed yet (PEP 495, fold 0).

    >>> night = QuietHours(start="22:00", end="08:00")
    >>> ends_at(night, "Asia/Shanghai", 0.0) is None  # 08:00 there
    True
    >>> ends_at(night, "Europe/London", 0.0) / 3600  # 01:00 there, summer time all the year in 1970
    7.0
    """
    local = datetime.fromtimestamp(now_s, UTC).astimezone(_zone(zone))
    minute, start, end = local.hour * 60 + local.minute, _minute(quiet.start), _minute(quiet.end)
    inside = start <= minute < end if start < end else minute >= start or minute < end
    if not inside:
        return None
    day = local.date() + timedelta(days=1) if minute >= end else local.date()
    return datetime(day.year, day.month, day.day, end // 60, end % 60, tzinfo=_zone(zone)).timestamp()


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _minute(time: str) -> int:
    hours, minutes = time.split(":")
    return int(hours) * 60 + int(minutes)
