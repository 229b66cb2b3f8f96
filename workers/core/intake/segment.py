"""Segment: single calls and batches, camelCase as the spec has it, snake_case of home-made clients tolerated.

Source: the Segment Spec and its HTTP Tracking API (`batch`). The names of the spec's first version and of Klaviyo,
which mean the same, are translated; every other name is the shop's own and stays.
"""

from __future__ import annotations

from datetime import datetime

from schemas import codec
from schemas.events import (
    CONSENT_UPDATED,
    ORDER_CANCELLED,
    ORDER_COMPLETED,
    ORDER_REFUNDED,
    PRODUCT_ADDED,
    PRODUCT_REMOVED,
    PRODUCT_VIEWED,
    PRODUCTS_SEARCHED,
    Page,
    Properties,
    Screen,
    Track,
)
from schemas.values import MAX_ID, NOBODY, Json, obj
from workers.core.intake.canonical import EARLIEST, MAX_EVENT_BYTES, PRODUCT_EVENTS, MappedEvent
from workers.core.intake.commerce import needs_no_cleaning
from workers.core.intake.reasons import reject

NAMES = {
    "Viewed Product": PRODUCT_VIEWED,
    "Added Product": PRODUCT_ADDED,
    "Added to Cart": PRODUCT_ADDED,
    "Removed Product": PRODUCT_REMOVED,
    "Started Checkout": "Checkout Started",
    "Completed Order": ORDER_COMPLETED,
    "Placed Order": ORDER_COMPLETED,
    "Refunded Order": ORDER_REFUNDED,
    "Cancelled Order": ORDER_CANCELLED,
    "Searched Products": PRODUCTS_SEARCHED,
}
#: Names that the way without a copy leaves to the careful one.
_CAREFUL = frozenset({*NAMES, CONSENT_UPDATED})


def split(raw: Json) -> list[object] | None:
    """The calls of a batch, each with what the batch says for all of them; None if `raw` is a single call."""
    batch = raw.get("batch")
    if not isinstance(batch, list):
        return None
    shared: Json = {name: raw[name] for name in ("context", "sentAt", "userId", "anonymousId") if name in raw}
    return [{**shared, **obj(call)} if isinstance(call, dict) else call for call in batch]


def draft(raw: Json) -> Json:
    """One call; only names change."""
    name = raw.get("event")
    return {**raw, "event": NAMES[name]} if isinstance(name, str) and name in NAMES else raw


def unchanged(value: bytes, latest: datetime) -> MappedEvent | None:
    """The record as it came, if it already is what customer.events promises; None if it needs work.

    This is the hot way: one decode, no copy. Raises InvalidEvent when its text is not UTF-8.
    """
    try:
        event = codec.decode_event(value)
    except codec.Malformed:
        return None
    if len(value) > MAX_EVENT_BYTES or not EARLIEST <= event.timestamp <= latest:
        return None
    if not (_is_id(event.user_id) and _is_id(event.anonymous_id)):
        return None
    if b'"user_id"' in value or b'"writeKey"' in value or b'"write_key"' in value:  # `finish` renames or removes them
        return None
    if isinstance(event, Track) and not _is_settled(event.event, event.properties):
        return None
    if isinstance(event, Page | Screen) and not needs_no_cleaning(event.properties):
        return None
    if not value.isascii():  # fields that no struct has are skipped, not decoded: their bytes are checked here
        try:
            value.decode()
        except UnicodeDecodeError as error:
            raise reject("broken_encoding", f"byte {error.start} is not UTF-8") from error
    return MappedEvent(event.customer_id.encode(), value)


def _is_id(found: str | None) -> bool:
    if found is None:
        return True
    return len(found) <= MAX_ID and found == found.strip() and found.lower() not in NOBODY


def _is_settled(name: str, properties: Properties) -> bool:
    if name in _CAREFUL or name != name.strip() or not needs_no_cleaning(properties):
        return False
    return name not in PRODUCT_EVENTS or bool(properties.product_id) or len(properties.products or ()) > 1
