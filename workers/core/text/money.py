"""Converts amounts of money in non-English notation to plain numbers: 19,90 and 1.299,00 and 1 299."""

from __future__ import annotations

import re

_SIGN = "[¥$€£]"
_CODES = ("cny", "rmb", "usd", "eur", "gbp", "jpy", "chf")
_AFTER = rf"\s?(?:{_SIGN}(?!\d)|(?:{'|'.join(_CODES)}|euros?|dollars?|pounds?|yuan)(?![a-z]))"
_BEFORE = "|".join(rf"(?<={before})" for before in (_SIGN, rf"{_SIGN}\s", *(rf"{code}\s" for code in _CODES)))
#: Thousands separated by a space, apostrophe or point, and a comma before the cents. 1,299 and 19.90 are already plain.
_AMOUNT = r"\d{1,3}(?:(?:[ ']\d{3}){1,4}(?:[.,]\d{1,2})?|(?:\.\d{3}){1,4}(?:,\d{1,2})?)|\d{1,9},\d{1,2}"
#: Only next to a currency: elsewhere 1 299 may be two numbers, and 7,8 a list.
_MONEY = re.compile(
    rf"(?:{_BEFORE})(?:{_AMOUNT})(?![\d.,']*\d)|(?<![\w.,'])(?<!\d[ ])(?:{_AMOUNT})(?={_AFTER})", re.IGNORECASE
)
_APART = re.compile(r"\d[ .,']\d")


def plain_amounts(text: str) -> str:
    """Returns the text with amounts of money written as 1299.90; plain amounts and those without a currency stay unchanged.

    >>> plain_amounts("€19,90 or 1.299,00 EUR or 1 299 €"), plain_amounts("sizes 7,8 and 1,299.00 USD")
    ('€19.90 or 1299.00 EUR or 1299 €', 'sizes 7,8 and 1,299.00 USD')
    """
    if _APART.search(text) is None:
        return text
    return _MONEY.sub(lambda found: _plain(found.group()), text)


def _plain(amount: str) -> str:
    cents = amount[-3:].find(",") if "," in amount else amount[-3:].find(".")
    whole, rest = (amount[: len(amount) - 3 + cents], amount[len(amount) - 2 + cents :]) if cents >= 0 else (amount, "")
    return re.sub(r"\D", "", whole) + (f".{rest}" if rest else "")
