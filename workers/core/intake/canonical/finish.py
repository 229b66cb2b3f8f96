"""Performs the last step for every format: turns a draft in the terms of the Segment spec into one record of customer.events.

A draft is loosely typed. This module determines its identity, time and types, checks its size, and decodes the result once as
its readers will, so that nothing invalid reaches the topic.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import blake2b

import msgspec

from schemas import codec
from schemas.events import CONSENT_UPDATED, OPT_OUT_EVENTS, PRODUCT_ADDED, PRODUCT_REMOVED, PRODUCT_VIEWED
from schemas.values import MAX_ID, Json, absent, identifier, instant, is_affirmative, obj, person, text
from workers.core.errors import InvalidEvent
from workers.core.intake.canonical import commerce
from workers.core.intake.canonical.rejections import reject

MAX_EVENT_BYTES = 256 * 1024
#: Earlier times come from a wrong clock (1970, 1980).
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
TYPES = frozenset({"track", "identify", "page", "screen", "alias", "group"})
PRODUCT_EVENTS = frozenset({PRODUCT_VIEWED, PRODUCT_ADDED, PRODUCT_REMOVED})
#: Fields that are removed: readers must not see a key that allows writing on behalf of the shop.
_SECRET = ("writeKey", "write_key")
_ALIASES = {
    "user_id": "userId",
    "anonymous_id": "anonymousId",
    "message_id": "messageId",
    "previous_id": "previousId",
    "group_id": "groupId",
    "original_timestamp": "originalTimestamp",
    "sent_at": "sentAt",
    "received_at": "receivedAt",
}


class MappedEvent(msgspec.Struct, frozen=True, gc=False):
    """One record for customer.events; the key is the customer's ID (userId, otherwise anonymousId) in UTF-8."""

    key: bytes
    value: bytes


class Origin:
    """The metadata of a record.

    `occurred_at` and `customer_id` (of a CloudEvents envelope) apply if the content has none; `message_id` overrides the
    content's ID, `fallback_id` applies if it has none. `size` is that of the record's value [bytes].
    """

    def __init__(
        self,
        value: bytes,
        received_at: datetime,
        *,
        max_future_s: float = 86_400.0,
        occurred_at: datetime | None = None,
        customer_id: str | None = None,
        message_id: str | None = None,
        fallback_id: str | None = None,
    ) -> None:
        self._value = value
        self._fallback_id = fallback_id
        self._message_id = message_id
        self.size = len(value)
        self.received_at = received_at
        self.latest = received_at + timedelta(seconds=max_future_s)
        self.occurred_at = occurred_at
        self.customer_id = customer_id

    def message_id(self, own: str | None, index: int | None) -> str:
        """Returns the ID that identifies a retry: the source's own, otherwise a hash of the record and the place in its batch."""
        if self._message_id is None and own is not None:
            return own if len(own) <= MAX_ID else digest(own.encode())
        if self._message_id is None and self._fallback_id is None:
            self._fallback_id = digest(self._value)
        whole = self._message_id or self._fallback_id or ""
        found = whole if index is None else f"{whole}-{index}"
        return found if len(found) <= MAX_ID else digest(found.encode())


def digest(*parts: bytes) -> str:
    """Returns a 128-bit hash of the parts as 32 hexadecimal digits; ("a", "bc") and ("ab", "c") differ."""
    hashed = blake2b(digest_size=16)
    for part in parts:
        hashed.update(b"%d:" % len(part))
        hashed.update(part)
    return hashed.hexdigest()


def finish(draft: Json, origin: Origin, index: int | None = None) -> MappedEvent:
    """Completes one draft; `index` is its place in a batch. Raises InvalidEvent (see `rejections`)."""
    event = dict(draft)
    for alias, name in _ALIASES.items():
        if alias in event:
            value = event.pop(alias)
            if absent(event.get(name)):
                event[name] = value
    for name in _SECRET:
        event.pop(name, None)
    kind = event["type"] = _kind(event)
    key = _set_identity(event, origin)
    event["messageId"] = origin.message_id(text(event.get("messageId")), index)
    try:
        _set_times(event, origin)
    except InvalidEvent:
        if not is_opt_out(event):
            raise
        event["timestamp"] = origin.received_at  # an opt-out must not be lost because of a wrong clock
        for name in ("sentAt", "receivedAt"):
            event.pop(name, None)
    _convert_content(event, kind)
    value = _encode(event)
    check(value)
    return MappedEvent(key, value)


def check(value: bytes) -> None:
    """Raises InvalidEvent unless `value` is small enough and its readers can decode it."""
    if len(value) > MAX_EVENT_BYTES:
        raise reject("too_large", f"{len(value)} bytes, the maximum is {MAX_EVENT_BYTES}")
    try:
        codec.decode_event(value)
    except codec.Malformed as error:
        raise InvalidEvent(error.reason, error.detail) from error


def _kind(event: Json) -> str:
    """Returns the type of the call; if it is missing, it is derived from a field that only one type has."""
    given = event.get("type")
    if isinstance(given, str) and given.strip().lower() in TYPES:
        return given.strip().lower()
    if given is not None:
        raise reject("wrong_type", f"type: must be one of {', '.join(sorted(TYPES))}")
    for field, kind in (("event", "track"), ("previousId", "alias"), ("groupId", "group"), ("traits", "identify")):
        if field in event:
            return kind
    raise reject("missing_field", "type")


def customer_id(value: object, name: str) -> str | None:
    """Returns a person's ID; None if the value does not identify a person. Raises InvalidEvent if it is too long."""
    found = person(value)
    if found is not None and len(found) > MAX_ID:
        raise reject("bad_identity", f"{name}: {len(found)} characters, the maximum is {MAX_ID}")
    return found


def _set_identity(event: Json, origin: Origin) -> bytes:
    ids = {name: customer_id(event.pop(name, None), name) for name in ("userId", "anonymousId")}
    if not any(ids.values()):
        ids["userId"] = customer_id(origin.customer_id, "key")
    key = ids["userId"] or ids["anonymousId"]
    if key is None:
        raise reject("no_identity", "neither userId nor anonymousId")
    event.update((name, value) for name, value in ids.items() if value is not None)
    try:
        return key.encode()
    except UnicodeEncodeError as error:
        raise reject("broken_encoding", "the customer's ID is not valid UTF-8") from error


def _set_times(event: Json, origin: Origin) -> None:
    # Segment corrects the device's clock itself, so a given `timestamp` is used unchanged.
    moment = _time(event, "timestamp") or _time(event, "originalTimestamp") or origin.occurred_at
    moment = moment or _time(event, "sentAt") or origin.received_at
    if not EARLIEST <= moment <= origin.latest:
        raise reject("bad_timestamp", "before the year 2000" if moment < EARLIEST else "in the future")
    event["timestamp"] = moment
    sent, received = (instant(event.pop(name, None)) for name in ("sentAt", "receivedAt"))
    if sent is not None:
        event["sentAt"] = sent
    # If the device's clock is ahead, its consent statements must not override later ones from other sources.
    received = origin.received_at if moment > origin.received_at else received
    if received is not None and (received >= moment or received == origin.received_at):
        event["receivedAt"] = received


def is_opt_out(event: Json) -> bool:
    """Returns whether the event refuses or withdraws consent, and does nothing else that counts."""
    name = event.get("event")
    if not isinstance(name, str):
        return event.get("type") == "identify" and not event.get("traits") and _only_refuses(event)
    return name in OPT_OUT_EVENTS or (
        name == CONSENT_UPDATED and not is_affirmative(commerce.consent(obj(event.get("properties")))["status"])
    )


def _only_refuses(event: Json) -> bool:
    """Returns whether the consent dialogue of the event has refusals and nothing that is granted."""
    context = obj(event.get("context"))
    answers = obj(obj(commerce.context(context).get("consent")).get("categoryPreferences"))
    return bool(answers) and not any(answers.values()) and not obj(context.get("traits"))


def _time(event: Json, name: str) -> datetime | None:
    value = event.get(name)
    if absent(value):
        return None
    moment = instant(value)
    if moment is None:
        raise reject("bad_timestamp", f"{name}: neither an ISO 8601 time nor a Unix timestamp")
    return moment


def _convert_content(event: Json, kind: str) -> None:
    if "context" in event:
        event["context"] = commerce.context(obj(event["context"]))
    match kind:
        case "track":
            raw = obj(event.get("properties"))
            event["properties"] = properties = commerce.properties(raw)
            event["event"] = name = _name(event)
            if name == CONSENT_UPDATED:
                properties.update(commerce.consent(raw))
            elif name in PRODUCT_EVENTS and "product_id" not in properties:
                _lift_product(properties)
        case "page" | "screen":
            event["properties"] = commerce.properties(obj(event.get("properties")))
            for name in ("name", "category"):
                if name in event and (value := text(event.pop(name))) is not None:
                    event[name] = value
        case "identify" | "group":
            event["traits"] = commerce.traits(obj(event.get("traits")))
    for kind_with_id, name in (("alias", "previousId"), ("group", "groupId")):
        if kind == kind_with_id:
            event[name] = customer_id(event.get(name), name)
            if event[name] is None:
                raise reject("missing_field", name)


def _name(event: Json) -> str:
    name = text(event.get("event"))
    if name is None:
        raise reject("missing_field", "event")
    if len(name) > MAX_ID:
        raise reject("wrong_type", f"event: {len(name)} characters, the maximum is {MAX_ID}")
    return name


def _lift_product(properties: Json) -> None:
    """Moves the fields of the only product into the properties, where events about one product carry them."""
    lines = properties.get("products")
    if isinstance(lines, list) and len(lines) == 1:
        del properties["products"]
        for name, value in obj(lines[0]).items():
            properties.setdefault(name, value)
    elif not lines and (other := identifier(properties.get("sku")) or identifier(properties.get("id"))) is not None:
        properties["product_id"] = other


_encoder = msgspec.json.Encoder()


def _encode(event: Json) -> bytes:
    try:
        return _encoder.encode(event)
    except UnicodeEncodeError as error:
        raise reject("broken_encoding", "the event contains text that is not valid UTF-8") from error
    except RecursionError as error:
        raise reject("broken_json", "nested too deeply") from error
