"""Normalises the names, in any spelling, of the events that a profile does more with than count."""

from __future__ import annotations

import re
from functools import lru_cache

from schemas import events
from schemas.names import normal

#: Names of the same events in the first version of the spec, Klaviyo and others.
SYNONYMS = {
    "Viewed Product": events.PRODUCT_VIEWED,
    "Added Product": events.PRODUCT_ADDED,
    "Added to Cart": events.PRODUCT_ADDED,
    "Removed Product": events.PRODUCT_REMOVED,
    "Started Checkout": events.CHECKOUT_STARTED,
    "Completed Order": events.ORDER_COMPLETED,
    "Placed Order": events.ORDER_COMPLETED,
    "Refunded Order": events.ORDER_REFUNDED,
    "Cancelled Order": events.ORDER_CANCELLED,
    "Order Canceled": events.ORDER_CANCELLED,
    "Searched Products": events.PRODUCTS_SEARCHED,
}
_CANONICAL = (
    events.PRODUCT_VIEWED,
    events.PRODUCT_ADDED,
    events.PRODUCT_REMOVED,
    events.CART_VIEWED,
    events.CHECKOUT_STARTED,
    events.ORDER_COMPLETED,
    events.ORDER_REFUNDED,
    events.ORDER_CANCELLED,
    events.PRODUCTS_SEARCHED,
    events.PRODUCT_REVIEWED,
    events.LIVE_CHAT_MESSAGE_SENT,
    events.CONSENT_UPDATED,
    events.SEGMENT_CONSENT_UPDATED,
    events.SOCIAL_POST_PUBLISHED,
    *events.OPT_OUT_EVENTS,
)
_BY_SPELLING = {normal(name): name for name in _CANONICAL} | {normal(alias): name for alias, name in SYNONYMS.items()}
_VERSION = re.compile(r"\.v\d{1,3}$")


@lru_cache(maxsize=4096)
def canonical_name(name: str) -> str:
    """Returns the spec's name of an event; names of events that are only counted stay unchanged.

    >>> [canonical_name(name) for name in ("order_completed", "Product added", "ConsentUpdated", "Level Up")]
    ['Order Completed', 'Product Added', 'Consent Updated', 'Level Up']
    """
    return _BY_SPELLING.get(normal(name), name)


def name_of_type(type_name: str) -> str:
    """Returns the name of the event that the last one or two words of a reverse-domain CloudEvents `type` stand for.

    >>> [name_of_type(f"com.shop.{last}") for last in ("consent.updated.v1", "OrderCompleted", "level_up")]
    ['Consent Updated', 'Order Completed', 'com.shop.level_up']
    """
    words = _VERSION.sub("", type_name).split(".")
    names = (_BY_SPELLING.get(normal("".join(words[-count:]))) for count in (1, 2))
    return next((name for name in names if name is not None), type_name)
