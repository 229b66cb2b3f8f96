"""Parses loosely typed values such as "19.90", 1569888000000 or "(not set)". None = no usable value.

There is one parser per kind of value, whatever the source: shops (intake), senders (feedback), traits.
"""

from __future__ import annotations

import re
from typing import cast

from schemas.moments import date, instant
from schemas.names import normal
from schemas.numerals import MAX_INT, number

__all__ = [
    "MAX_ID",
    "PERSON_PLACEHOLDERS",
    "PLACEHOLDERS",
    "Json",
    "absent",
    "boolean",
    "currency",
    "date",
    "drop_none",
    "first",
    "first_person",
    "identifier",
    "instant",
    "integer",
    "is_affirmative",
    "loose_text",
    "number",
    "obj",
    "person",
    "price",
    "quantity",
    "rows",
    "setting",
    "text",
]

#: A JSON object as received, unchecked.
Json = dict[str, object]

MAX_ID = 256
_MAX_QUANTITY = 1_000_000

#: Placeholders that scripts send instead of a person's ID: without this list, all of them would share one profile. Lower case.
#: Sources: PostHog and Amplitude reject these as IDs; "(not set)" is GA4's; iOS sends zeros without permission to track.
PERSON_PLACEHOLDERS = frozenset(
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
#: Placeholders that scripts send instead of the ID of a thing, in their usual spellings. Unlike a person's ID, it may be `0`.
PLACEHOLDERS = frozenset(
    {"", " ", "null", "Null", "NULL", "nil", "None", "none", "undefined", "NaN", "nan", "\\N"}
) | frozenset({"(not set)", "(none)", "(not provided)", "[object Object]", "N/A", "n/a"})
_YES = frozenset({"true", "yes", "y", "t", "1", "on"})
_NO = frozenset({"false", "no", "n", "f", "0", "off"})
_WORDS = re.compile(r"[^\W_]{1,32}([ _-][^\W_]{1,32}){0,3}")
#: Values that give consent, in normal form.
_CONSENTING = _YES | {"granted", "grant", "given", "subscribed", "optedin", "optin", "allowed", "allow", "accepted"}


def absent(value: object) -> bool:
    """Returns whether a field has no value: null and blank text count as missing; zero, false and [] are values.

    >>> absent(None), absent(" "), absent(0), absent([])
    (True, True, False, False)
    """
    return value is None or (isinstance(value, str) and not value.strip())


def first(source: Json, *names: str) -> object | None:
    """Returns the first of these fields that has a value; None if none has.

    >>> first({"userId": None, "user_id": "ana"}, "userId", "user_id")
    'ana'
    """
    return next((value for name in names if not absent(value := source.get(name))), None)


def person(value: object) -> str | None:
    """Returns the ID of a person; None if it is missing or a placeholder.

    >>> person(" ana "), person("undefined"), person(0)
    ('ana', None, None)
    """
    found = text(value)
    return None if found is None or found.lower() in PERSON_PLACEHOLDERS or not found.strip("0-") else found


def first_person(source: Json, *names: str) -> object | None:
    """Returns the first of these fields that identifies a person; None if none does.

    >>> first_person({"external_id": "undefined", "braze_id": "b-1"}, "external_id", "braze_id")
    'b-1'
    """
    return next((value for name in names if person(value := source.get(name)) is not None), None)


def obj(value: object) -> Json:
    """Returns a JSON object unchanged; an empty one for any other value."""
    return cast(Json, value) if isinstance(value, dict) else {}


def rows(value: object) -> list[Json]:
    """Returns the objects in a JSON array; a single object counts as an array of one."""
    if isinstance(value, dict):
        return [cast(Json, value)]
    return [cast(Json, item) for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(value: object) -> str | None:
    """Returns a name or an ID without surrounding white space.

    >>> text(" a "), text(17), text(17.0), text(""), text(True), text([])
    ('a', '17', '17', None, None, None)
    """
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def loose_text(value: object) -> str | None:
    """Returns free text: strings stay unchanged, numbers are converted."""
    return value if isinstance(value, str) else text(value)


def identifier(value: object) -> str | None:
    """Returns the ID of a thing (product, cart, order): 1 to 256 characters, and no placeholder.

    >>> identifier(1001), identifier("undefined"), identifier(0)
    ('1001', None, '0')
    """
    found = text(value)
    return found if found is not None and len(found) <= MAX_ID and found not in PLACEHOLDERS else None


def setting(value: object) -> str | None:
    """Returns a value that systems set, such as a locale; None if it is missing or a placeholder.

    >>> setting(" de-DE "), setting("(not set)"), setting("undefined")
    ('de-DE', None, None)
    """
    found = text(value)
    return None if found in PLACEHOLDERS else found


def boolean(value: object) -> bool | None:
    """Returns a boolean, also from a word or from 1 and 0.

    >>> boolean(True), boolean("false"), boolean("Yes"), boolean(0), boolean("perhaps")
    (True, False, True, False, None)
    """
    if isinstance(value, bool):
        return value
    found = (text(value) or "").lower()
    return True if found in _YES else False if found in _NO else None


def is_affirmative(value: object) -> bool:
    """Returns whether a value clearly gives consent; anything else is a no.

    >>> [is_affirmative(value) for value in (True, "Opted-In", "unsubscribed", None, [], "-1", "≠ yes")]
    [True, True, False, False, False, False, False]
    """
    if isinstance(value, str):
        return _WORDS.fullmatch(value.strip()) is not None and normal(value) in _CONSENTING
    return value is True or (isinstance(value, int | float) and value == 1)


def integer(value: object) -> int | None:
    """Returns a whole number, also from text or from 2.0.

    >>> integer("2"), integer(2.0), integer(2.5)
    (2, 2, None)
    """
    found = number(value)
    return int(found) if found is not None and found == int(found) and abs(found) < MAX_INT else None


def quantity(value: object) -> int | None:
    """Returns a number of pieces, 0 to a million. Negative numbers count as zero.

    >>> quantity("2"), quantity(0), quantity("-1"), quantity(2.5)
    (2, 0, 0, None)
    """
    found = integer(value)
    return max(found, 0) if found is not None and found <= _MAX_QUANTITY else None


def price(value: object) -> int | float | None:
    """Returns a price per unit. Zero and negative prices mean unknown: shops write 0 if they have no price.

    >>> price("19.90"), price(0), price("0.00"), price(-1)
    (19.9, None, None, None)
    """
    found = number(value)
    return found if found is not None and found > 0 else None


def currency(value: object) -> str | None:
    """Returns an ISO 4217 code in capital letters.

    >>> currency(" usd "), currency("Dollar")
    ('USD', None)
    """
    found = text(value)
    return found.upper() if found is not None and len(found) == 3 and found.isascii() and found.isalpha() else None


def drop_none(fields: dict[str, object | None]) -> Json:
    """Returns the fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}
