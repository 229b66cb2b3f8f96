"""Parses timestamps and dates in the notations of programs and people."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from schemas.numerals import plain_digits

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_CHARS = 80
_DIGITS = re.compile(r"\d{10,19}(\.\d+)?", re.ASCII)
_ZONE_NAME = re.compile(r"\s{0,9}\[[\w/+-]{1,40}\]$|\s{0,9}\([^()]{1,40}\)$|\s{1,9}m=[+-][\d.]{1,20}$")
_SLASHES = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})(?=$|[T ])", re.ASCII)
#: The output of Date.toString() in JavaScript and Java.
_JAVASCRIPT = re.compile(
    r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) (\d{1,2}) (\d{4}) (\d\d:\d\d:\d\d) (?:GMT|UTC)([+-]\d{4})?", re.ASCII
)
_JAVA = re.compile(r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) +(\d{1,2}) (\d\d:\d\d:\d\d) (?:UTC|GMT) (\d{4})", re.ASCII)
_INTERNET = re.compile(r"(?:[A-Z][a-z]{2,8},? )?\d{1,2}[ -][A-Z][a-z]{2}[ -]\d{2,4} \d", re.ASCII)
_UTC = re.compile(r" ?(?:UTC|GMT|Z|z)$")
_LEAP_SECOND = re.compile(r"(?<=:\d\d):60(?!\d)", re.ASCII)
_MILLIS = re.compile(r"(\d\d:\d\d:\d\d):(\d{3})(?!\d)", re.ASCII)  # Braze documents HH:mm:ss:SSSZ
_DOT_NET = re.compile(r"/Date\((-?\d{1,17})(?:[+-]\d{4})?\)/", re.ASCII)


def instant(value: object) -> datetime | None:
    """Returns a timestamp in UTC. Seconds, milli-, micro- and nanoseconds since the epoch are distinguished by their size; text
    is ISO 8601 (UTC if it has no zone), an Internet date (RFC 2822), or the output of JavaScript, Java, Go and .NET. Numeric
    days and months in another order than ISO's (01/05/2024) are ambiguous and not accepted.

    >>> str(instant(1569888000)), str(instant("1569888000000"))
    ('2019-10-01 00:00:00+00:00', '2019-10-01 00:00:00+00:00')
    >>> str(instant("2019-10-01 00:00:00 UTC")), str(instant("2019-10-01T08:00:00+08:00"))
    ('2019-10-01 00:00:00+00:00', '2019-10-01 00:00:00+00:00')
    >>> str(instant("Tue, 01 Oct 2019 00:00:00 GMT")), str(instant("Tue Oct 01 2019 02:00:00 GMT+0200 (CEST)"))
    ('2019-10-01 00:00:00+00:00', '2019-10-01 00:00:00+00:00')
    >>> instant("yesterday") is None
    True
    """
    try:
        if isinstance(value, str):
            return _written(value.strip()) if len(value) <= _MAX_CHARS else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _since_epoch(value)
    except (ValueError, OverflowError):
        return None
    return None


def _written(found: str) -> datetime:
    if _DIGITS.fullmatch(found):
        return _since_epoch(float(found) if "." in found else int(found))
    try:
        moment = datetime.fromisoformat(found.removesuffix("UTC").rstrip())
    except ValueError:
        moment = _non_iso(found)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _non_iso(found: str) -> datetime:
    """Parses notations other than ISO 8601. Raises ValueError."""
    if known := _DOT_NET.fullmatch(found):
        return _since_epoch(int(known[1]))
    found = _ZONE_NAME.sub("", found)
    if known := _JAVASCRIPT.fullmatch(found):
        month, day, year, clock, zone = known.groups()
        return parsedate_to_datetime(f"{day} {month} {year} {clock} {zone or '+0000'}")
    if known := _JAVA.fullmatch(found):
        month, day, clock, year = known.groups()
        return parsedate_to_datetime(f"{day} {month} {year} {clock} +0000")
    if _INTERNET.match(found):
        return parsedate_to_datetime(found)
    found = _SLASHES.sub(lambda known: f"{known[1]}-{int(known[2]):02}-{int(known[3]):02}", found, count=1)
    found = _MILLIS.sub(r"\1.\2", _UTC.sub("", _LEAP_SECOND.sub(":59", found)))
    return datetime.fromisoformat(re.sub(r"(?<=\d)t(?=\d)", "T", found))


def _since_epoch(value: float) -> datetime:
    size = abs(value)
    if size < 1e11:  # seconds until the year 5138
        return _EPOCH + timedelta(seconds=value)
    if size < 1e14:
        return _EPOCH + timedelta(milliseconds=value)
    return _EPOCH + timedelta(microseconds=value if size < 1e17 else value // 1000)


_YEAR_FIRST = re.compile(r"(\d{4})(?:[-/. ]|年)(\d{1,2})(?:(?:[-/. ]|月)(\d{1,2})日?)?月?(?=$|[T ,日])", re.ASCII)
_YEAR_LAST = re.compile(r"(\d{1,2})([-/. ]) ?(\d{1,2})\2 ?(\d{4}|\d\d)(?=$|[T ,])", re.ASCII)
_DAY_MONTH = re.compile(
    r"(?:[A-Za-z]{3,9},? )?(\d{1,2})(?:st|nd|rd|th|\.)?[- ](?:of )?([A-Za-z]{3,9})\.?,?[- ](\d{4})\b", re.ASCII
)
_MONTH_DAY = re.compile(r"(?:[A-Za-z]{3,9},? )?([A-Za-z]{3,9})\.? (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})\b", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,19}(\.\d+)?", re.ASCII)
_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
_YEARS = range(1850, 2101)
_DAY_S = 86_400.0
_MAX_NUMBER = 1e18
#: A two-digit year above this one belongs to the previous century.
_PIVOT = 40


def date(value: object) -> dt.date | None:
    """Returns a calendar date, such as a birthday; for a timestamp, the date in its text.

    A number is a year, YYYYMMDD, or seconds or milliseconds since 1970 (before 1970 if negative). Of an ambiguous text
    (03/04/2010; only a year), the later date is used: of two ages, the younger one protects minors.

    >>> str(date("2012/05/01")), str(date("01.05.2012")), str(date("May 1st, 2012")), str(date("2012年5月1日"))
    ('2012-05-01', '2012-05-01', '2012-05-01', '2012-05-01')
    >>> str(date("03/04/2010")), str(date("25/12/2010")), str(date("2010")), str(date(-86400)), date("soon")
    ('2010-04-03', '2010-12-25', '2010-12-31', '1969-12-31', None)
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        text = f"{value:.0f}" if abs(value) < _MAX_NUMBER else ""
    elif isinstance(value, str) and len(value) <= _MAX_CHARS:
        text = plain_digits(value.strip())
    else:
        return None
    found = [read for year, month, number in _readings(text) if (read := _day(year, month, number)) is not None]
    if found:
        return max(found)
    try:
        if _NUMBER.fullmatch(text):
            return _since_epoch(float(text)).date() if _is_epoch(text) else None
        return None if text[:4].isdigit() else _non_iso(text).date()
    except (ValueError, OverflowError):
        return None


def _is_epoch(text: str) -> bool:
    """Returns False for numbers within a day of zero (unset values) and for invalid dates in the form YYYYMMDD."""
    return abs(float(text)) >= _DAY_S and not (len(text) == 8 and text.startswith(("18", "19", "20")))


def _readings(text: str) -> Iterator[tuple[int, int | None, int | None]]:
    """Yields (year, month, day) for each possible reading of a text; None = not given."""
    if text.isdigit() and len(text) == 4:
        yield int(text), None, None
    elif text.isdigit() and len(text) == 8:
        yield int(text[:4]), int(text[4:6]), int(text[6:])
        yield int(text[4:]), int(text[2:4]), int(text[:2])
        yield int(text[4:]), int(text[:2]), int(text[2:4])
    elif known := _YEAR_FIRST.match(text):
        yield int(known[1]), int(known[2]), int(known[3]) if known[3] else None
    elif known := _YEAR_LAST.match(text):
        one, separator, other, year = int(known[1]), known[2], int(known[3]), _full_year(known[4])
        yield year, other, one
        if separator != "." or other > 12:  # 03.04.2010 is the third of April wherever dates have dots
            yield year, one, other
    elif known := _DAY_MONTH.match(text):
        yield int(known[3]), _MONTHS.get(known[2][:3].lower(), 0), int(known[1])
    elif known := _MONTH_DAY.match(text):
        yield int(known[3]), _MONTHS.get(known[1][:3].lower(), 0), int(known[2])


def _full_year(digits: str) -> int:
    year = int(digits)
    return year if len(digits) == 4 else year + (2000 if year <= _PIVOT else 1900)


def _day(year: int, month: int | None, number: int | None) -> dt.date | None:
    """Returns the last day of the year, month or day given; None if there is no such day."""
    if year not in _YEARS or (month is not None and not 1 <= month <= 12):
        return None
    month = month or 12
    last = calendar.monthrange(year, month)[1]
    number = last if number is None else number
    return dt.date(year, month, number) if 1 <= number <= last else None
