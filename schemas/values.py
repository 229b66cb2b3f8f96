"""Reads loosely typed values: what a stranger means by "19.90", 1569888000000 or "(not set)". None = it says nothing.

One reader for each kind of value, whoever sent it: shops (intake), senders (feedback), traits.
"""

from __future__ import annotations

import re
from typing import cast

from schemas.moments import date, instant
from schemas.names import normal
from schemas.numerals import MAX_INT, number

__all__ = [
    "MAX_ID",
    "NOBODY",
    "NOTHING",
    "Json",
    "absent",
    "agreed",
    "boolean",
    "currency",
    "date",
    "drop_none",
    "first",
    "identifier",
    "instant",
    "integer",
    "loose_text",
    "number",
    "obj",
    "person",
    "price",
    "quantity",
    "rows",
    "setting",
    "someone",
    "text",
]

#: A JSON object as it came, nothing checked.
Json = dict[str, object]

MAX_ID = 256
_MAX_QUANTITY = 1_000_000

#: What scripts write for "nobody": one profile for all of them would be worse than none. Compared in lower case.
#: Sources: PostHog and Amplitude refuse these as ids; "(not set)" is GA4's; zeros stand for iOS without permission.
NOBODY = frozenset(
    {
        "",
        "0",
        "-1",
        "(none)",
        "(not provided)",
        "(not set)",
        "[object object]",
        "anonymous",
        "false",
        "guest",
        "n/a",
        "nan",
    }
    | {"nil", "none", "not set", "not_authenticated", "null", "true", "undefined", "unknown", "unset"}
    | {"00000000-0000-0000-0000-000000000000"}
)
#: What scripts write where a thing has no id, in the spellings that they use. Unlike people, a thing may well be `0`.
NOTHING = frozenset(
    {"", " ", "null", "Null", "NULL", "nil", "None", "none", "undefined", "NaN", "nan", "\\N"}
) | frozenset({"(not set)", "(none)", "(not provided)", "[object Object]", "N/A", "n/a"})
_YES = frozenset({"true", "yes", "y", "t", "1", "on"})
_NO = frozenset({"false", "no", "n", "f", "0", "off"})
#: Words with which somebody agrees to be written to, in their normal form.
_WORDS = re.compile(r"[^\W_]{1,32}([ _-][^\W_]{1,32}){0,3}")
_AGREED = _YES | {"granted", "grant", "given", "subscribed", "optedin", "optin", "allowed", "allow", "accepted"}


def absent(value: object) -> bool:
    """Whether a field says nothing: null and blank text are the same as no field at all. Zero, false and [] say something.

    >>> absent(None), absent(" "), absent(0), absent([])
    (True, True, False, False)
    """
    return value is None or (isinstance(value, str) and not value.strip())


def first(source: Json, *names: str) -> object | None:
    """The first of these fields that says something; None if none does.

    >>> first({"userId": None, "user_id": "ana"}, "userId", "user_id")
    'ana'
    """
    return next((value for name in names if not absent(value := source.get(name))), None)


def person(value: object) -> str | None:
    """The id of a person; None if it is absent or a placeholder for nobody.

    >>> person(" ana "), person("undefined"), person(0)
    ('ana', None, None)
    """
    found = text(value)
    return None if found is None or found.lower() in NOBODY or not found.strip("0-") else found


def someone(source: Json, *names: str) -> object | None:
    """The first of these fields that names a person; None if none does.

    >>> someone({"external_id": "undefined", "braze_id": "b-1"}, "external_id", "braze_id")
    'b-1'
    """
    return next((value for name in names if person(value := source.get(name)) is not None), None)


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
    """The id of a thing (product, cart, order): 1 to 256 characters, and none of what scripts write for "none".

    >>> identifier(1001), identifier("undefined"), identifier(0)
    ('1001', None, '0')
    """
    found = text(value)
    return found if found is not None and len(found) <= MAX_ID and found not in NOTHING else None


def setting(value: object) -> str | None:
    """A word that a system knows, such as a locale; None if it is absent or only says that it is.

    >>> setting(" de-DE "), setting("(not set)"), setting("undefined")
    ('de-DE', None, None)
    """
    found = text(value)
    return None if found in NOTHING else found


def boolean(value: object) -> bool | None:
    """Yes or no, also when it came as a word or as 1 and 0.

    >>> boolean(True), boolean("false"), boolean("Yes"), boolean(0), boolean("perhaps")
    (True, False, True, False, None)
    """
    if isinstance(value, bool):
        return value
    found = (text(value) or "").lower()
    return True if found in _YES else False if found in _NO else None


def agreed(value: object) -> bool:
    """Whether this is a clear yes to a question of consent; whatever is not, is a no.

    >>> agreed(True), agreed("Opted-In"), agreed("unsubscribed"), agreed(None), agreed([]), agreed("-1"), agreed("≠ yes")
    (True, True, False, False, False, False, False)
    """
    if isinstance(value, str):
        return _WORDS.fullmatch(value.strip()) is not None and normal(value) in _AGREED
    return value is True or (isinstance(value, int | float) and value == 1)


def integer(value: object) -> int | None:
    """A whole number, also when it came as text or as 2.0.

    >>> integer("2"), integer(2.0), integer(2.5)
    (2, 2, None)
    """
    found = number(value)
    return int(found) if found is not None and found == int(found) and abs(found) < MAX_INT else None


def quantity(value: object) -> int | None:
    """Pieces: 0 to a million. Zero says that there is none, and so does less than that.

    >>> quantity("2"), quantity(0), quantity("-1"), quantity(2.5)
    (2, 0, 0, None)
    """
    found = integer(value)
    return max(found, 0) if found is not None and found <= _MAX_QUANTITY else None


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


def drop_none(fields: dict[str, object | None]) -> Json:
    """Only what is known."""
    return {name: value for name, value in fields.items() if value is not None}
