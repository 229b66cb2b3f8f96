"""Normalises the names of the events that a profile does more with than count them, in all their spellings."""

from __future__ import annotations

import re
from functools import lru_cache

from schemas import events
from schemas.names import normal

#: Names for the same events in the first version of the spec, Klaviyo and others.
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
_MEANT = (
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
    *events.REFUSALS,
)
_BY_SPELLING = {normal(name): name for name in _MEANT} | {normal(name): meant for name, meant in SYNONYMS.items()}
_VERSION = re.compile(r"\.v\d{1,3}$")


@lru_cache(maxsize=4096)
def spelt(name: str) -> str:
    """Returns the spec's name for an event; names of events that are only counted stay unchanged.

    >>> spelt("order_completed"), spelt("Product added"), spelt("ConsentUpdated"), spelt("Level Up")
    ('Order Completed', 'Product Added', 'Consent Updated', 'Level Up')
    """
    return _BY_SPELLING.get(normal(name), name)


def of_type(name: str) -> str:
    """Returns the event that a reverse domain name of CloudEvents stands for: its last word, or its last two.

    >>> of_type("com.shop.consent.updated.v1"), of_type("com.shop.OrderCompleted"), of_type("com.shop.level_up")
    ('Consent Updated', 'Order Completed', 'com.shop.level_up')
    """
    words = _VERSION.sub("", name).split(".")
    found = (_BY_SPELLING.get(normal("".join(words[-count:]))) for count in (1, 2))
    return next((known for known in found if known is not None), name)
