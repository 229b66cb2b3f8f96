"""Normalises names that people and systems spell in many ways: channels, purposes, statuses, reasons."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection


def normal(name: str) -> str:
    """Returns the letters and digits of a name, normalised in case, width and composition, without spaces and punctuation.

    >>> normal("In-App"), normal(" in_app "), normal("Ｅ-mail"), normal("*")
    ('inapp', 'inapp', 'email', '')
    """
    if name.isascii() and name.isalnum():
        return name.lower()
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", name[:_MAX_CHARS]).casefold()))


def match(name: str, known: Collection[str]) -> str | None:
    """Returns the known name with the same normal form; None if there is none.

    >>> match("Opted-In", ["opted_in", "unsubscribed"]), match("no idea", ["opted_in"])
    ('opted_in', None)
    """
    if name in known:
        return name
    normalised = normal(name)
    return next((candidate for candidate in known if normal(candidate) == normalised), None)


_MAX_CHARS = 256
