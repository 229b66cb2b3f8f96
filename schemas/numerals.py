"""Parses numbers in the notations of people and shop systems of many countries."""

from __future__ import annotations

import re
import unicodedata
from math import isfinite

MAX_INT = 2**53
_MAX_CHARS = 40
_PLAIN = re.compile(r"[+-]?(\d+(?:\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
#: Groups of thousands with the same separator; the first group does not start with 0: 0,299 is a fraction.
_GROUPED = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?|[1-9]\d{0,2}(?:[ ']\d{3})+(?:[.,]\d+)?", re.ASCII)
_GROUPED_BY_DOTS = re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+,\d+|[1-9]\d{0,2}(?:\.\d{3}){2,}", re.ASCII)
_LAKHS = re.compile(r"[1-9]\d?(?:,\d{2})+,\d{3}(?:\.\d+)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"\d+,\d+", re.ASCII)
#: Currency signs and names around a number; ISO 4217 codes only in capital letters, so that "19 pcs" is not a price.
_MONEY = r"(?:[A-Za-z]{0,3}[$£¤¥₠-⃀€元円￥￦]|[A-Z]{3}|Rs\.?|kr\.?|Kč|zł|Ft|лв\.?|руб\.?)"
_IN_MONEY = re.compile(
    rf"(?P<sign>[+-]?) ?(?:(?P<before>{_MONEY}) ?)?(?P<inner>[+-]?)(?P<amount>[\d.,' ]*\d)(?:[.,]-+)?(?: ?(?P<after>{_MONEY}))?"
)
_DOT_AND_THREE = re.compile(r"[1-9]\d{0,2}\.\d{3}", re.ASCII)
#: Currencies with three decimals, such as 1.299.
_THOUSANDTHS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
#: Equivalents of ASCII signs in other scripts and in typography.
_SIGNS = str.maketrans(
    {
        "\u066b": ".",  # Arabic decimal separator
        "\u066c": ",",  # Arabic thousands separator
        "．": ".",
        "，": ",",
        "\u2212": "-",
        "–": "-",
        "—": "-",
        "－": "-",
        "＋": "+",
        "’": "'",
        "‘": "'",
        "ʼ": "'",
        "＇": "'",
        "´": "'",
        "`": "'",
    }
)


def number(value: object) -> int | float | None:
    """Returns a finite number, also from text. Ambiguous text is read in one way: a single comma before three digits separates
    thousands, a single dot does so only next to a currency.

    >>> number("19.90"), number("1,299.00"), number("19,90"), number(3), number("free"), number(True)
    (19.9, 1299.0, 19.9, 3, None, None)
    >>> number("1.299,00"), number("1 299,00 €"), number("CHF 1'299.-"), number("١٬٢٩٩٫٥"), number("1.299"), number("1,299")
    (1299.0, 1299.0, 1299.0, 1299.5, 1.299, 1299.0)
    >>> number("1.299 €"), number("KWD 1.299")
    (1299.0, 1.299)
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if abs(value) < MAX_INT else _float(value)
    if isinstance(value, float):
        return value if isfinite(value) else None
    if not isinstance(value, str) or len(value) > _MAX_CHARS:
        return None
    found = value.strip()
    return _float(found) if _PLAIN.fullmatch(found) else _written(found)


def _written(text: str) -> float | None:
    """Parses a number in a notation that `float` does not support."""
    found = _IN_MONEY.fullmatch(plain_digits(text.translate(_SIGNS)))
    if found is None or (found["sign"] and found["inner"]):
        return None
    amount = found["amount"]
    if _GROUPED.fullmatch(amount) or _LAKHS.fullmatch(amount):
        # A comma after groups separated by spaces or apostrophes is the decimal separator.
        amount = re.sub("[ ']", "", amount).replace(",", ".") if re.search("[ ']", amount) else amount.replace(",", "")
    elif _GROUPED_BY_DOTS.fullmatch(amount) or (_DOT_AND_THREE.fullmatch(amount) and _has_cents(found)):
        amount = amount.replace(".", "").replace(",", ".")
    elif _DECIMAL_COMMA.fullmatch(amount):
        amount = amount.replace(",", ".")
    elif not _PLAIN.fullmatch(amount):
        return None
    read = _float(amount)
    return -read if read is not None and "-" in (found["sign"], found["inner"]) else read


def _has_cents(found: re.Match[str]) -> bool:
    """Returns whether a currency with at most two decimals is given: 1.299 € is not a fraction of a euro."""
    named = {found["before"], found["after"]} - {None}
    return bool(named) and not named & _THOUSANDTHS


def plain_digits(text: str) -> str:
    """Converts the digits and spaces of every script to ASCII; superscripts are not digits: 10² is not 102.

    >>> plain_digits("１２\u202f३४")
    '12 34'
    """
    return text if text.isascii() else "".join(map(_ascii, text))


def _ascii(character: str) -> str:
    if character.isascii():
        return character
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    return " " if unicodedata.category(character) == "Zs" else character


def _float(value: int | str) -> float | None:
    try:
        converted = float(value)
    except OverflowError:
        return None
    return converted if isfinite(converted) else None
