"""Reads loosely typed values: what a shop means by "19.90", 1569888000000 or "(not set)". None = it says nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import cast

#: A JSON object as it came, nothing checked.
Json = dict[str, object]

MAX_ID = 256
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLAIN = re.compile(r"[+-]?(\d+(?:\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d{1,2}", re.ASCII)
_DIGITS = re.compile(r"\d{10,19}(\.\d+)?", re.ASCII)
_MAX_QUANTITY = 1_000_000
_MAX_INT = 2**53


def obj(value: object) -> Json:
    """A JSON object; anything else is an empty one."""
    return cast(Json, value) if isinstance(value, dict) else {}


def rows(value: object) -> list[Json]:
    """The objects of a JSON array; a single object counts as an array of one."""
    if isinstance(value, dict):
        return [cast(Json, value)]
    return [cast(Json, item) for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(value: object) -> str | None:
    """A name or an id, without white space around it.

    >>> text(" a "), text(17), text(17.0), text(""), text(True), text([])
    ('a', '17', '17', None, None, None)
    """
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def loose_text(value: object) -> str | None:
    """Free text: strings stay as they are, numbers are written out."""
    return value if isinstance(value, str) else text(value)


def identifier(value: object) -> str | None:
    """The id of a thing (product, cart, order): 1 to 256 characters."""
    found = text(value)
    return found if found is not None and len(found) <= MAX_ID else None


def number(value: object) -> int | float | None:
    """A finite number, also when it came as text.

    >>> number("19.90"), number("1,299.00"), number("19,90"), number(3), number("free"), number(True)
    (19.9, 1299.0, 19.9, 3, None, None)
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if abs(value) < _MAX_INT else _float(value)
    if isinstance(value, float):
        return value if isfinite(value) else None
    if not isinstance(value, str) or len(value) > 40:
        return None
    found = value.strip()
    if _THOUSANDS.fullmatch(found):
        found = found.replace(",", "")
    elif _DECIMAL_COMMA.fullmatch(found):
        found = found.replace(",", ".")
    elif not _PLAIN.fullmatch(found):
        return None
    return _float(found)


def _float(value: int | str) -> float | None:
    try:
        converted = float(value)
    except OverflowError:
        return None
    return converted if isfinite(converted) else None


def integer(value: object) -> int | None:
    """A whole number, also when it came as text or as 2.0.

    >>> integer("2"), integer(2.0), integer(2.5)
    (2, 2, None)
    """
    found = number(value)
    return int(found) if found is not None and found == int(found) and abs(found) < _MAX_INT else None


def quantity(value: object) -> int | None:
    """Pieces: 1 to a million."""
    found = integer(value)
    return found if found is not None and 0 < found <= _MAX_QUANTITY else None


def price(value: object) -> int | float | None:
    """A price per unit. Zero and below mean unknown: shops write 0 where they have no price.

    >>> price("19.90"), price(0), price("0.00"), price(-1)
    (19.9, None, None, None)
    """
    found = number(value)
    return found if found is not None and found > 0 else None


def currency(value: object) -> str | None:
    """An ISO 4217 code.

    >>> currency(" usd "), currency("Dollar")
    ('USD', None)
    """
    found = text(value)
    return found.upper() if found is not None and len(found) == 3 and found.isascii() and found.isalpha() else None


def instant(value: object) -> datetime | None:
    """A point in time, UTC. Seconds, milli-, micro- and nanoseconds since the epoch are told apart by their size;
    text is ISO 8601, or `YYYY-MM-DD HH:MM:SS UTC`, and means UTC where it names no zone.

    >>> str(instant(1569888000)), str(instant("1569888000000"))
    ('2019-10-01 00:00:00+00:00', '2019-10-01 00:00:00+00:00')
    >>> str(instant("2019-10-01 00:00:00 UTC")), str(instant("2019-10-01T08:00:00+08:00"))
    ('2019-10-01 00:00:00+00:00', '2019-10-01 00:00:00+00:00')
    >>> instant("yesterday") is None
    True
    """
    try:
        if isinstance(value, str):
            found = value.strip()
            if _DIGITS.fullmatch(found):
                return _since_epoch(float(found) if "." in found else int(found))
            moment = datetime.fromisoformat(found.removesuffix("UTC").rstrip())
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _since_epoch(value)
    except (ValueError, OverflowError):
        return None
    return None


def _since_epoch(value: float) -> datetime:
    size = abs(value)
    if size < 1e11:  # seconds until the year 5138
        return _EPOCH + timedelta(seconds=value)
    if size < 1e14:
        return _EPOCH + timedelta(milliseconds=value)
    return _EPOCH + timedelta(microseconds=value if size < 1e17 else value // 1000)


def drop_none(fields: dict[str, object | None]) -> Json:
    """Only what is known."""
    return {name: value for name, value in fields.items() if value is not None}
