"""Generates the load for the real role: Segment events of many customers, about 300 bytes of JSON each, up to the present."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from benchmarks.work_unit import customers_of

NAMES = (
    ["Page Viewed"] * 60
    + ["Product Viewed"] * 25
    + ["Product Added"] * 9
    + ["Product Removed"] * 2
    + ["Order Completed"] * 4
)
STEP_S = 0.02


def make_events(
    events: int, customers: int, seed: int = 7, end_s: float | None = None, visits: int = 0
) -> Iterator[tuple[bytes, bytes]]:
    """Yields (key, value) of `events` events, 50 per second of event time, the last one at `end_s` (None = now); `visits`: see
    work_unit.customers_of.
    """
    rng = random.Random(seed)
    start_s = (time.time() if end_s is None else end_s) - events * STEP_S
    for index, customer in enumerate(customers_of(events, customers, visits, rng)):
        user = f"c{customer}"
        name = rng.choice(NAMES)
        properties: dict[str, object] = {"session_id": f"s-{user}"}
        if name != "Page Viewed":
            properties |= {
                "product_id": f"p{rng.randrange(500)}",
                "price": 19.9,
                "category": "wearables",
                "cart_id": f"cart-{user}",
                "currency": "EUR",
            }
        event = {
            "type": "track",
            "event": name,
            "messageId": f"e{seed}-{index}",
            "timestamp": datetime.fromtimestamp(start_s + index * STEP_S, UTC).isoformat(),
            "userId": user,
            "context": {"locale": "en-GB"},
            "properties": properties,
        }
        yield user.encode(), json.dumps(event).encode()


def consent(customer: str, at_s: float) -> bytes:
    """Returns a Consent Updated event, for which the role publishes the customer's public view at once."""
    event = {
        "type": "track",
        "event": "Consent Updated",
        "messageId": f"consent-{customer}",
        "timestamp": datetime.fromtimestamp(at_s, UTC).isoformat(),
        "userId": customer,
        "properties": {"channel": "email", "status": "subscribed"},
    }
    return json.dumps(event).encode()
