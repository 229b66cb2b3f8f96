"""Nothing that a customer sends can stop a worker: arbitrary JSON through intake, profile, decision and publishing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas import codec
from tests.support.core import DELAY_S, NOON, LaneHarness
from tests.support.generators import examples, hit_rate
from workers.core.intake.mapping import Intake
from workers.core.partition import keys
from workers.core.profile import eviction, model
from workers.core.stream.records import Record

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


#: A customer who fills a cart as shops tell it, among whatever else comes: the messages that this brings are the point.
CARTS = st.tuples(
    st.just("Product Added"),
    st.fixed_dictionaries(
        {"product_id": st.sampled_from(["smart-band", "smart-band", "p1"]), "cart_id": st.sampled_from(["c1", "c2"])},
        optional={
            "name": SCALARS,
            "price": SCALARS,
            "category": SCALARS,
            "url": SCALARS,
            "quantity": st.integers(1, 3),
        },
    ),
    TRAITS,
    st.integers(0, 20_000),
)
ANY = st.tuples(EVENTS, PROPERTIES, TRAITS, st.integers(-100_000, 80_000))
STEPS = st.lists(CARTS | ANY, min_size=1, max_size=8)
#: At least this share of the examples publishes a message; below it the property says nothing of publishing.
LEAST_PUBLISHED = 0.4
WALK_S, WALK_TO_S = DELAY_S, 100_000.0


def lane_after(steps: list[Any]) -> LaneHarness:
    """The lane after intake has read the steps at noon; the clock walks on for a day, and each request gets its words."""
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
    answered = 0
    for walked in range(int(WALK_TO_S / WALK_S)):
        lane.run(records if walked == 0 else [], wall_s=NOON + walked * WALK_S)
        if asked := lane.requests[answered:]:
            answered += len(asked)
            lane.run([lane.candidate(request) for request in asked], wall_s=NOON + walked * WALK_S)
    for later_s in (WALK_TO_S, 2 * WALK_TO_S):
        lane.run([], wall_s=NOON + later_s)
    return lane


@settings(max_examples=examples(300), deadline=None)
@given(STEPS)
@example([("Product Added", {"cart_id": "x" * 256, "product_id": "p1"}, {}, 0)])
@example([("Order Completed", {"order_id": 1e250, "product_id": "p1", "products": [{"product_id": 7}]}, {}, 0)])
@example([("Product Viewed", {"product_id": "x" * 5000, "session_id": 2**900}, {}, 0)] * 3)
def test_no_event_stops_the_lane_and_every_output_decodes(steps: list[Any]) -> None:
    lane = lane_after(steps)
    for output in lane.outputs:
        codec.decode_topic(output.topic, output.value)
    for key, value in lane.store.values.items():
        if key.startswith(keys.PROFILE):
            assert len(value) <= eviction.MAX_BYTES
            model.decode(value)
    assert len(lane.requests) == len(lane.outcomes)
    published = [outcome.message_id for outcome in lane.outcomes if outcome.reason == "published"]
    assert sorted(published) == sorted(message.message_id for message in lane.messages)


@pytest.mark.slow
def test_many_of_the_lanes_publish_or_the_property_says_nothing_of_it() -> None:
    assert hit_rate(STEPS, lambda steps: lane_after(steps).messages, 100) >= LEAST_PUBLISHED
