"""Decodes records of external programs leniently, after strict decoding has failed.

JSON conventions differ by language: null for a missing value (Jackson), epoch milliseconds for instants, `OPENED` for `opened`,
4.0 for 4. Records that are still rejected are listed in docs/senders.md.
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

#: A customer's opt-outs: they are applied even if other fields are malformed.
OPT_OUTS = ("unsubscribed", "complained")
#: Names that mail, push and SMS providers use for our statuses and bounce types, in normal form (schemas.names).
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
#: Substitutes for unreadable fields of an opt-out; this timestamp is replaced by the time at which the record arrived.
_UNKNOWN_ID, _UNKNOWN_TIME = "unnamed", "1970-01-01T00:00:00Z"
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def convert(struct: type[Wire], value: bytes) -> Wire:
    """Decodes a record leniently.

    Raises msgspec's errors: ValidationError names the first field that cannot be parsed.
    """
    raw = msgspec.json.decode(value.removeprefix(BOM_UTF8))
    if not isinstance(raw, dict):
        raise msgspec.ValidationError(f"Expected `object`, got `{type(raw).__name__}`")
    fields = _object(_fields_of(struct), raw)
    try:  # thread-safe: the codec has already built the struct's decoder
        return msgspec.convert(fields, struct)
    except msgspec.ValidationError:
        if struct is not Feedback or fields.get("status") not in OPT_OUTS:
            raise
        return msgspec.convert(_minimal_opt_out(fields), struct)


@cache
def _fields_of(struct: type[Wire]) -> inspect.StructType:
    return cast(inspect.StructType, inspect.type_info(struct))


def _minimal_opt_out(fields: Json) -> Json:
    """Returns an opt-out reduced to the fields it needs: only the customer is required. Without a channel, it applies to all."""
    minimal: Json = {name: fields[name] for name in ("user_id", "status") if name in fields}
    for name in ("event_id", "message_id"):
        given = fields.get(name)
        minimal[name] = given if isinstance(given, str) and 0 < len(given) <= values.MAX_ID else _UNKNOWN_ID
    timestamp = fields.get("timestamp")
    minimal["timestamp"] = timestamp if isinstance(timestamp, datetime) else values.instant(timestamp) or _UNKNOWN_TIME
    if isinstance(fields.get("channel"), str):
        minimal["channel"] = fields["channel"]
    return minimal


def _object(expected: inspect.StructType, raw: Json) -> Json:
    """Returns the fields of the struct, in any spelling (`messageId`); a field without a value keeps its default."""
    fields: Json = {}
    present = {name: value for name, value in raw.items() if not values.absent(value)}
    by_normal_name = {names.normal(name): name for name in present}
    for field in expected.fields:
        name = (
            field.encode_name if field.encode_name in present else by_normal_name.get(names.normal(field.encode_name))
        )
        if name is not None:
            fields[field.encode_name] = _value(field.type, present[name])
    return fields


def _value(expected: inspect.Type, found: object) -> object:
    """Returns the value converted to the type of its field; unchanged if that is not possible, so that the error shows it."""
    read: object | None = None
    match expected:
        case inspect.UnionType(types=types):
            read = next((_value(kind, found) for kind in types if not isinstance(kind, inspect.NoneType)), None)
        case inspect.StructType() if isinstance(found, dict):
            read = _object(expected, found)
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
    """Returns the option with this name, in any spelling or a provider's term; None if there is none."""
    normalised = names.normal(found)
    option = names.match(found, options) or _SYNONYMS.get(normalised)
    if option is None and normalised.startswith(
        ("unsub", "complain", "spam")
    ):  # "Unsubscribed by user", "spam_complaint"
        option = "unsubscribed" if normalised.startswith("unsub") else "complained"
    return option if option in options else None
