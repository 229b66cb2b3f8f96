"""Computes how long a text may be on a channel: the narrowest limit of channel and vendors per unit, less the suffix.

A text is never cut to fit.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping

import msgspec

from workers.core.common.memoize import memoize_by_identity
from workers.core.playbook.channels import Channel, Maximum
from workers.core.text import sms

UNITS = {"max_chars": "characters", "max_bytes": "bytes", "max_columns": "columns", "max_segments": "segments"}
#: UTF-8 bytes per letter, for languages whose letters are not in the GSM 7-bit alphabet; in all others a letter has one byte.
_LETTER_BYTES = dict.fromkeys(("ar", "be", "bg", "el", "fa", "he", "hy", "kk", "mk", "ru", "sr", "uk", "ur"), 2)
_LETTER_BYTES |= dict.fromkeys(("bn", "hi", "ja", "ka", "km", "ko", "lo", "mr", "my", "ne", "si", "ta", "te", "th"), 3)
_LETTER_BYTES["zh"] = 3
_WIDE = ("ja", "ko", "zh")
_MAX_NAMED = 3


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """The narrowest limit in one unit, suffix included. `vendor` "" = the limit of the channel itself."""

    unit: str
    most: int
    vendor: str = ""


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """The maximum number of characters a writer may use [1 or more in a validated playbook], and the limit that sets it."""

    chars: int
    bound: Bound


@memoize_by_identity
def bounds(channel: Channel, name: str, language: str) -> tuple[Bound, ...]:
    """Returns the limits of one field, at most one per unit; () = it has none."""
    own = channel.fields.get(name, {}).get(language)
    if own is None:
        return ()
    limits_by_source: list[tuple[str, Maximum]] = [("", own)]
    limits_by_source += [
        (vendor, maximum)
        for vendor, limits in channel.vendors.items()
        if limits.reaches(language) and (maximum := limits.maximum(name)) is not None
    ]
    narrowest = []
    for field, unit in UNITS.items():
        given = [
            (most, vendor) for vendor, limit in limits_by_source if (most := getattr(limit, field, None)) is not None
        ]
        if given:
            most, vendor = min(given)
            narrowest.append(Bound(unit=unit, most=most, vendor=vendor))
    return tuple(narrowest)


@memoize_by_identity
def room(channel: Channel, name: str, language: str) -> Room | None:
    """Returns how many characters always fit, assuming the usual script of the language; None = no limit.

    For prompts and JSON Schemas, which can only count characters; `wrong` measures exactly.
    """
    rest = _rest(channel, name, language)
    rooms = [
        Room(chars=_chars(bound.unit, bound.most, rest, language), bound=bound)
        for bound in bounds(channel, name, language)
    ]
    return min(rooms, key=lambda room: room.chars, default=None)


def wrong(channel: Channel, name: str, language: str, text: str) -> str | None:
    """Returns why a text does not fit its field, for people and the model; None = it fits."""
    limit = channel.fields.get(name, {}).get(language)
    if limit is None:
        return None
    rest = _rest(channel, name, language)
    found = bounds(channel, name, language)
    most = next(
        (f"{limit.min_chars} to {bound.most - len(rest)}{_by(bound)}" for bound in found if bound.unit == "characters"),
        "",
    )
    if len(text) < limit.min_chars:
        return f"{name} has {len(text)} characters, allowed are {most or f'at least {limit.min_chars}'}"
    for bound in found:
        if size(bound.unit, text + rest) <= bound.most:
            continue
        if bound.unit == "segments":
            return f"{name} has {_segments(text + rest)}, allowed is {bound.most}{_because(text)}"
        allowed = most if bound.unit == "characters" else f"{bound.most - size(bound.unit, rest)}{_by(bound)}"
        return f"{name} has {size(bound.unit, text)} {bound.unit}, allowed are {allowed}"
    return None


def payload_wrong(channel: Channel, language: str, parts: Mapping[str, str]) -> str | None:
    """Returns why the visible parts of a message exceed a vendor's payload limit; None = they fit.

    Counted as a JSON object of the non-empty parts, in UTF-8.
    """
    limits = [
        (vendor.payload_bytes, name)
        for name, vendor in channel.vendors.items()
        if vendor.payload_bytes is not None and vendor.reaches(language)
    ]
    if not limits:
        return None
    most, vendor = min(limits)
    payload = len(msgspec.json.encode({name: part for name, part in parts.items() if part}))
    return f"the payload has {payload} bytes, {vendor} takes {most}" if payload > most else None


def suffixed(channel: Channel, language: str, body: str) -> str:
    """Returns the body as sent; "" stays "". The suffix follows a space, or in Chinese the body directly."""
    return body + _rest(channel, "body", language) if body else ""


def size(unit: str, text: str) -> int:
    """Returns the size of a text in one unit of UNITS.

    >>> [size(unit, "OK 好") for unit in ("characters", "bytes", "columns", "segments")]
    [4, 6, 5, 1]
    """
    match unit:
        case "bytes":
            return len(text.encode())
        case "columns":
            return sum(_columns(text))
        case "segments":
            return sms.measure(text).segments
        case _:
            return len(text)


def _rest(channel: Channel, name: str, language: str) -> str:
    suffix = channel.suffix.get(language, "").strip() if name == "body" else ""
    return (suffix if language == "zh" else f" {suffix}") if suffix else ""


def _chars(unit: str, most: int, rest: str, language: str) -> int:
    letter = _LETTER_BYTES.get(language, 1)
    if unit == "segments":
        encoding: sms.Encoding = "UCS-2" if letter > 1 or sms.outside(rest) else "GSM 7-bit"
        return sms.capacity(most, encoding) - sms.units(rest, encoding)
    wide = {"bytes": letter, "columns": 2 if language in _WIDE else 1}
    return (most - size(unit, rest)) // wide.get(unit, 1)


def _columns(text: str) -> Iterator[int]:
    """Yields columns by UAX #11: wide and fullwidth characters take two, combining marks none."""
    for character in text:
        if unicodedata.category(character) in ("Mn", "Me", "Cf"):
            yield 0
        else:
            yield 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _segments(text: str) -> str:
    measured = sms.measure(text)
    return f"{measured.segments} segments in {measured.encoding}"


def _because(text: str) -> str:
    """Lists the few characters that keep a text out of GSM 7-bit: one curly quote halves what fits."""
    odd = sms.outside(text)
    return f" (not in GSM 7-bit: {' '.join(odd)})" if 0 < len(odd) <= _MAX_NAMED else ""


def _by(bound: Bound) -> str:
    return f" ({bound.vendor})" if bound.vendor else ""
