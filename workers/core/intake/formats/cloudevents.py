"""Reads CloudEvents 1.0 over Kafka: binary mode (`ce_` headers, the data as value) and structured mode (one JSON object).

Source: CloudEvents "Kafka Protocol Binding" and "JSON Event Format". The envelope provides the ID (source + id, by which the
spec identifies duplicates), the time and, through the record's key, the customer; the data is mapped by its own format. Data of
no supported format becomes a custom event named after the envelope's `type`.
"""

from __future__ import annotations

from base64 import b64decode
from datetime import datetime

import msgspec

from schemas.values import Json, absent, instant, person, text
from workers.core.intake.canonical.event_names import name_of_type
from workers.core.intake.canonical.rejections import reject
from workers.core.intake.formats import braze, ga4, mparticle, segment, snowplow
from workers.core.stream.records import Record

_PREFIX = "ce_"
_NAMES = segment.NAMES | ga4.NAMES | snowplow.NAMES | braze.NAMES | mparticle.NAMES
#: Text types are accepted too: an enriched Snowplow event is not JSON.
_JSON_TYPES = frozenset({"", "application/json", "text/json", "text/plain", "text/tab-separated-values"})
_IDENTITY = ("userId", "anonymousId", "user_id", "anonymous_id")


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of an envelope, and the bytes of its data."""

    message_id: str
    type: str
    occurred_at: datetime | None
    customer_id: str | None
    data: bytes


def is_binary(record: Record) -> bool:
    """Returns whether the record has the headers of binary mode."""
    return any(name.lower() == "ce_specversion" for name, _ in record.headers)


def is_structured(raw: Json) -> bool:
    """Returns whether the object is an envelope."""
    return "specversion" in raw and "source" in raw


def binary(record: Record) -> Envelope:
    """Returns the envelope of a record in binary mode. Raises InvalidEvent if it is malformed."""
    attributes: Json = {}
    content_type = ""
    for name, value in record.headers:
        lowered = name.lower()
        if lowered.startswith(_PREFIX):
            attributes[lowered.removeprefix(_PREFIX)] = value.decode("utf-8", "replace")
        elif lowered == "content-type":
            content_type = value.decode("utf-8", "replace")
    if record.value is None:
        raise reject("null_value", "the record has no value")
    return _envelope(attributes, content_type, record.value, record.key)


def structured(raw: Json, record: Record) -> Envelope:
    """Returns the envelope of an object in structured mode. Raises InvalidEvent if it is malformed."""
    content_type = text(raw.get("datacontenttype")) or ""
    if isinstance(encoded := raw.get("data_base64"), str):
        try:
            data = b64decode(encoded, validate=True)
        except ValueError as error:
            raise reject("broken_encoding", "data_base64 is not valid base64") from error
    elif "data" in raw:
        given = raw["data"]
        # A string is an event that was serialised before it was put into the object: an event is never a plain string.
        data = given.encode("utf-8", "replace") if isinstance(given, str) else msgspec.json.encode(given)
        content_type = ""  # data inside the object is JSON, whatever its original type
    else:
        raise reject("missing_field", "data")
    return _envelope(raw, content_type, data, record.key)


def custom(envelope: Envelope, data: Json) -> Json:
    """Returns a draft for data of no supported format."""
    draft: Json = {"type": "track", "event": _NAMES.get(envelope.type) or name_of_type(envelope.type)}
    draft.update((name, data[name]) for name in _IDENTITY if name in data)
    draft["properties"] = {name: value for name, value in data.items() if name not in _IDENTITY}
    return draft


def _envelope(attributes: Json, content_type: str, data: bytes, key: bytes | None) -> Envelope:
    given = {name: text(attributes.get(name)) for name in ("specversion", "id", "source", "type", "partitionkey")}
    for name in ("specversion", "id", "source", "type"):
        if given[name] is None:
            raise reject("missing_field", f"CloudEvents attribute {name}")
    if not f"{given['specversion']}.".startswith("1."):  # 1.0 written as a number is 1
        raise reject("unknown_schema_version", "CloudEvents specversion; supported: 1.x")
    if not _is_json(content_type):
        raise reject("unknown_format", "the data of the CloudEvents envelope is not JSON")
    occurred_at = None
    if not absent(time := attributes.get("time")) and (occurred_at := instant(time)) is None:
        raise reject("bad_timestamp", "CloudEvents attribute time: not a timestamp")
    return Envelope(
        message_id=f"{given['source']}|{given['id']}",
        type=str(given["type"]),
        occurred_at=occurred_at,
        customer_id=_person_key(key) or given["partitionkey"],
        data=data,
    )


def _is_json(content_type: str) -> bool:
    media = content_type.partition(";")[0].strip().lower()
    return media in _JSON_TYPES or media.endswith("+json")


def _person_key(key: bytes | None) -> str | None:
    try:
        return person(key.decode()) if key else None
    except UnicodeDecodeError:
        return None
