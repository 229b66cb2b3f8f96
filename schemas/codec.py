"""The only boundary between bytes and structs.

JSON on public topics. Decoders are built once; decoding validates. A record of a newer schema version is refused, one
of an older version decodes (new fields have defaults). What programs of others write is read for what it means
(schemas/lenient.py) when it is not written as the schema says.
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
    """Bytes that are not what their topic promises. `reason` is one word of a closed set, `detail` names the place."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


#: What programs of others write; events of customers are mapped by `intake` before.
_FROM_OUTSIDE: frozenset[type[Wire]] = frozenset(
    {CatalogueProduct, DialogueMessage, Feedback, PrivacyRequest, ReviewVerdict}
)

_encoder = msgspec.json.Encoder()
encode = _encoder.encode


def decode_event(value: bytes | None) -> AnyEvent:
    """One record of customer.events.

    Raises Malformed with reason `null_value`, `broken_json`, `wrong_type`, `unknown_schema_version` or `no_identity`.
    """
    event: AnyEvent = _decode(_event_decoder, value)
    if not (event.user_id or event.anonymous_id):
        raise Malformed("no_identity", "neither userId nor anonymousId")
    return event


def decode(struct: type[S], value: bytes | None) -> S:
    """One record of the topic that carries `struct`. Raises Malformed as `decode_event` does."""
    return _decode(_decoder(struct), value, struct)  # type: ignore[no-any-return] # the decoder returns what it was built for


def decode_topic(topic: Topic | str, value: bytes | None) -> Any:
    """One record of a topic of the table; the struct is the table's. For tools that read any topic."""
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
            if struct not in _FROM_OUTSIDE or not (isinstance(error, msgspec.ValidationError) or value[:3] == BOM_UTF8):
                raise
            decoded = lenient.convert(struct, value)
    except msgspec.ValidationError as error:
        raise Malformed("wrong_type", str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed("broken_json", str(error)) from error
    if not 1 <= decoded.schema_version <= SCHEMA_VERSION and not _is_no(decoded):
        raise Malformed("unknown_schema_version", f"{decoded.schema_version}; this reader knows 1 to {SCHEMA_VERSION}")
    return decoded


def _is_no(decoded: object) -> bool:
    """Whether a customer says here that nothing more is wanted: that is heard in the words of any version."""
    return isinstance(decoded, Feedback) and decoded.status in lenient.NO


_event_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(AnyEvent)


_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
_building = Lock()


def _decoder(struct: Any) -> msgspec.json.Decoder[Any]:
    """Built by one thread at a time: msgspec 0.22 hands what it knows of a struct to others before it is complete, and a
    second thread that builds a decoder on that ends the process (SIGSEGV).
    """
    found = _decoders.get(struct)
    if found is None:
        with _building:
            found = _decoders.get(struct)  # another thread may have built it meanwhile
            if found is None:
                found = _decoders[struct] = msgspec.json.Decoder(struct)
    return found
