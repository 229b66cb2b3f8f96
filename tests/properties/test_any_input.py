"""Nothing that a customer sends can stop a worker: arbitrary JSON through intake, profile, decision and publishing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas import codec
from tests.support import examples
from tests.support_core import DELAY_S, NOON, LaneHarness
from workers.core import keys, profile
from workers.core.intake.mapping import Intake
from workers.ports import Record

RECEIVED = datetime.fromtimestamp(NOON, UTC)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=40)
    | st.sampled_from(["http://[x", "subscribed", "push", "EUR", "c1", "p1", "2099-01-01T00:00:00Z", "x" * 5000])
)
NAMES = st.sampled_from(
    [
        "product_id",
        "name",
        "category",
        "brand",
        "price",
        "quantity",
        "url",
        "cart_id",
        "order_id",
        "total",
        "currency",
        "channel",
        "purpose",
        "status",
        "captured_at",
        "session_id",
        "revenue",
        "products",
    ]
)
LINES = st.dictionaries(NAMES, SCALARS, max_size=5)
PROPERTIES = st.dictionaries(NAMES, SCALARS | st.lists(LINES, max_size=3), max_size=9)
EVENTS = st.sampled_from(
    ["Product Viewed", "Product Added", "Product Removed", "Cart Viewed", "Order Completed", "Consent Updated", "Any"]
)
TRAITS = st.dictionaries(st.text(max_size=30), SCALARS | st.lists(st.text(max_size=10), max_size=3), max_size=6)


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(st.tuples(EVENTS, PROPERTIES, TRAITS, st.integers(-100_000, 80_000)), min_size=1, max_size=8))
@example([("Product Added", {"cart_id": "x" * 256, "product_id": "p1"}, {}, 0)])
@example([("Order Completed", {"order_id": 1e250, "product_id": "p1", "products": [{"product_id": 7}]}, {}, 0)])
@example([("Product Viewed", {"product_id": "x" * 5000, "session_id": 2**900}, {}, 0)] * 3)
def test_no_event_stops_the_lane_and_every_output_decodes(steps: list[Any]) -> None:
    lane, intake = LaneHarness(presumed=frozenset({"push"})), Intake()
    records: list[Record] = []
    for index, (name, properties, traits, second) in enumerate(steps):
        event = {
            "type": "track",
            "event": name,
            "messageId": f"m{index}",
            "userId": "ana",
            "timestamp": datetime.fromtimestamp(NOON + second, UTC).isoformat(),
            "properties": properties,
            "context": {"traits": traits},
        }
        source = lane.record(json.dumps(event).encode(), b"k", "shop.events")
        records.extend(lane.record(mapped.value, mapped.key) for mapped in intake.map_record(source, RECEIVED).events)
    lane.run(records)
    for later_s in (DELAY_S + 100_000, DELAY_S + 200_000):
        lane.run([], wall_s=NOON + later_s)
    for output in lane.outputs:
        codec.decode_topic(output.topic, output.value)
    for key, value in lane.store.values.items():
        if key.startswith(keys.PROFILE):
            assert len(value) <= profile.MAX_BYTES
            profile.decode(value)
    assert len(lane.requests) == len(lane.outcomes)
