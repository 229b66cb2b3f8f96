"""Encodes and decodes records: the only boundary between bytes and structs.

Public topics hold JSON. Decoders are built once; decoding validates. A record of a newer schema version is rejected, one of an
older version decodes (new fields have defaults). Records of external programs that do not follow the schema are decoded
leniently (schemas/lenient.py).
"""

from __future__ import annotations

from codecs import BOM_UTF8
from threading import Lock
from typing import Any, TypeVar

import msgspec

from schemas import lenient
from schemas.base import SCHEMA_VERSION, Wire
from schemas.catalogue import CatalogueProduct
from schemas.control import PrivacyRequest
from schemas.dialogue import DialogueMessage
from schemas.events import AnyEvent
from schemas.messages import Feedback, ReviewVerdict
from schemas.topics import BY_NAME, Topic

S = TypeVar("S", bound=Wire)


class Malformed(ValueError):
    """Raised for bytes that do not match their topic's schema. `reason` is one of a closed set, `detail` names the place."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


#: Records that external programs write; customer events are mapped by `intake` first.
_EXTERNAL: frozenset[type[Wire]] = frozenset(
    {CatalogueProduct, DialogueMessage, Feedback, PrivacyRequest, ReviewVerdict}
)

_encoder = msgspec.json.Encoder()
encode = _encoder.encode


def decode_event(value: bytes | None) -> AnyEvent:
    """Decodes a record of customer.events.

    Raises Malformed with reason `null_value`, `broken_json`, `wrong_type`, `unknown_schema_version` or `no_identity`.
    """
    event: AnyEvent = _decode(_event_decoder, value)
    if not (event.user_id or event.anonymous_id):
        raise Malformed("no_identity", "neither userId nor anonymousId")
    return event


def decode(struct: type[S], value: bytes | None) -> S:
    """Decodes a record of the topic that carries `struct`. Raises Malformed like `decode_event`."""
    return _decode(_decoder(struct), value, struct)  # type: ignore[no-any-return] # the decoder returns what it was built for


def decode_topic(topic: Topic | str, value: bytes | None) -> Any:
    """Decodes a record of any topic in the table, with the struct given there. For tools that read any topic."""
    row = BY_NAME[topic] if isinstance(topic, str) else topic
    if row.struct is None:
        raise Malformed("internal_topic", f"{row.name} is internal")
    if row.struct is AnyEvent:
        return decode_event(value)
    return _decode(_decoder(row.struct), value, row.struct)


def _decode(decoder: msgspec.json.Decoder[Any], value: bytes | None, struct: Any = None) -> Any:
    if value is None:
        raise Malformed("null_value", "the record has no value")
    try:
        try:
            decoded = decoder.decode(value)
        except msgspec.DecodeError as error:
            if struct not in _EXTERNAL or not (isinstance(error, msgspec.ValidationError) or value[:3] == BOM_UTF8):
                raise
            decoded = lenient.convert(struct, value)
    except msgspec.ValidationError as error:
        raise Malformed("wrong_type", str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed("broken_json", str(error)) from error
    if not 1 <= decoded.schema_version <= SCHEMA_VERSION and not _is_opt_out(decoded):
        raise Malformed("unknown_schema_version", f"{decoded.schema_version}; supported: 1 to {SCHEMA_VERSION}")
    return decoded


def _is_opt_out(decoded: object) -> bool:
    """Returns whether the record is a customer's opt-out, which is applied whatever its schema version."""
    return isinstance(decoded, Feedback) and decoded.status in lenient.OPT_OUTS


_event_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(AnyEvent)


_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
_building = Lock()


def _decoder(struct: Any) -> msgspec.json.Decoder[Any]:
    """Returns the decoder of a struct, built by one thread at a time: msgspec 0.22 publishes its metadata of a struct before it
    is complete, and a second thread that builds a decoder from it crashes the process (SIGSEGV).
    """
    found = _decoders.get(struct)
    if found is None:
        with _building:
            found = _decoders.get(struct)  # another thread may have built it in the meantime
            if found is None:
                found = _decoders[struct] = msgspec.json.Decoder(struct)
    return found
