"""Reads what programs of others mean: the second way to decode a record, taken only when the strict one has refused it.

Every language's JSON has its own habits: null for "nothing" (Jackson), epoch milliseconds for instants, `OPENED` for
`opened`, 4.0 for 4. What is still refused afterwards is listed in docs/senders.md.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from datetime import datetime
from functools import cache
from typing import cast

import msgspec
from msgspec import inspect

from schemas import names, values
from schemas.base import Wire
from schemas.messages import Feedback
from schemas.values import Json

#: A customer's "no": nothing that stands beside it may keep it from being heard.
NO = ("unsubscribed", "complained")
#: How mail, push and SMS providers call what our statuses and bounce types mean, in normal form (schemas.names).
_SYNONYMS = {
    **dict.fromkeys(
        ("unsubscribe", "groupunsubscribe", "listunsubscribe", "optout", "optedout", "stop"), "unsubscribed"
    ),
    **dict.fromkeys(("complaint", "complain", "spam", "spamreport", "spamcomplaint", "abuse"), "complained"),
    "open": "opened",
    "click": "clicked",
    "bounce": "bounced",
    "delivery": "delivered",
    "reply": "replied",
    **dict.fromkeys(("permanent", "hardbounce"), "hard"),
    **dict.fromkeys(("transient", "temporary", "softbounce"), "soft"),
}
#: Stands in a "no" for what could not be read: an instant that no clock says counts from when the record came.
_UNNAMED, _UNTIMED = "unnamed", "1970-01-01T00:00:00Z"
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def convert(struct: type[Wire], value: bytes) -> Wire:
    """Decodes a record leniently: returns what the sender meant.

    Raises what msgspec raises: ValidationError names the first field that cannot be read.
    """
    found = msgspec.json.decode(value.removeprefix(BOM_UTF8))
    if not isinstance(found, dict):
        raise msgspec.ValidationError(f"Expected `object`, got `{type(found).__name__}`")
    meant = _object(_fields_of(struct), found)
    try:  # safe beside other threads: the codec has built the struct's decoder before
        return msgspec.convert(meant, struct)
    except msgspec.ValidationError:
        if struct is not Feedback or meant.get("status") not in NO:
            raise
        return msgspec.convert(_bare(meant), struct)


@cache
def _fields_of(struct: type[Wire]) -> inspect.StructType:
    return cast(inspect.StructType, inspect.type_info(struct))


def _bare(meant: Json) -> Json:
    """What a "no" cannot do without: a customer. The rest could not be read; without a channel it counts for all of them."""
    bare: Json = {name: meant[name] for name in ("user_id", "status") if name in meant}
    for name in ("event_id", "message_id"):
        given = meant.get(name)
        bare[name] = given if isinstance(given, str) and 0 < len(given) <= values.MAX_ID else _UNNAMED
    said = meant.get("timestamp")
    bare["timestamp"] = said if isinstance(said, datetime) else values.instant(said) or _UNTIMED
    if isinstance(meant.get("channel"), str):
        bare["channel"] = meant["channel"]
    return bare


def _object(wanted: inspect.StructType, found: Json) -> Json:
    """Every field that the struct knows, also as `messageId`; one that says nothing is left to its default."""
    meant: Json = {}
    said = {name: value for name, value in found.items() if not values.absent(value)}
    spelt = {names.normal(name): name for name in said}
    for field in wanted.fields:
        name = field.encode_name if field.encode_name in said else spelt.get(names.normal(field.encode_name))
        if name is not None:
            meant[field.encode_name] = _value(field.type, said[name])
    return meant


def _value(wanted: inspect.Type, found: object) -> object:
    """The value as its field wants it; as it came if that cannot be, for the error to show."""
    read: object | None = None
    match wanted:
        case inspect.UnionType(types=types):
            read = next((_value(kind, found) for kind in types if not isinstance(kind, inspect.NoneType)), None)
        case inspect.StructType() if isinstance(found, dict):
            read = _object(wanted, found)
        case inspect.ListType(item_type=item) if isinstance(found, list):
            read = [_value(item, each) for each in found if each is not None]
        case inspect.LiteralType(values=options):
            read = _option(found, [str(option) for option in options]) if isinstance(found, str) else None
        case inspect.DateTimeType():
            read = values.instant(found)
        case inspect.IntType():
            read = values.integer(found)
        case inspect.FloatType():
            read = values.number(found)
        case inspect.BoolType():
            read = _TRUTH.get((values.text(found) or "").lower()) if not isinstance(found, bool) else found
        case inspect.StrType():
            read = values.loose_text(found)
            read = read.strip() if isinstance(read, str) else read
        case _:
            pass
    return found if read is None else read


def _option(found: str, options: list[str]) -> str | None:
    """The option that is meant, by its own name or a provider's."""
    spelt = names.normal(found)
    known = names.match(found, options) or _SYNONYMS.get(spelt)
    if known is None and spelt.startswith(("unsub", "complain", "spam")):  # "Unsubscribed by user", "spam_complaint"
        known = "unsubscribed" if spelt.startswith("unsub") else "complained"
    return known if known in options else None
