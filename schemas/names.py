"""The normal form of names that people and systems spell in many ways: channels, purposes, statuses, reasons."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection


def normal(name: str) -> str:
    """The letters and digits of a name, without case, width, accents' composition, spaces and punctuation.

    >>> normal("In-App"), normal(" in_app "), normal("Ｅ-mail"), normal("*")
    ('inapp', 'inapp', 'email', '')
    """
    if name.isascii() and name.isalnum():
        return name.lower()
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", name[:_LONGEST]).casefold()))


def match(name: str, known: Collection[str]) -> str | None:
    """Which of the known names is meant; None if it is none of them.

    >>> match("Opted-In", ["opted_in", "unsubscribed"]), match("no idea", ["opted_in"])
    ('opted_in', None)
    """
    if name in known:
        return name
    wanted = normal(name)
    return next((candidate for candidate in known if normal(candidate) == wanted), None)


_LONGEST = 256
