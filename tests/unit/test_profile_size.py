"""No customer's record outgrows its limit, whatever strangers write: the limit is of bytes."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.core import NOON, LaneHarness
from tests.support.generators import examples
from workers.core.partition import keys
from workers.core.profile.eviction import MAX_BYTES

#: As long as intake lets through, and of four bytes a character where it hurts most.
LONG = st.sampled_from(["x", "€", "语", "\U0001f600"]).map(lambda character: character * 250)
IDS = st.builds("{}{}".format, LONG, st.integers(0, 99))
NAMES = ("Product Viewed", "Product Added", "Cart Viewed", "Order Completed", "Consent Updated", "Product Removed")
PROPERTIES = st.fixed_dictionaries(
    {"product_id": IDS},
    optional={
        "cart_id": IDS,
        "order_id": IDS,
        "session_id": IDS,
        "name": LONG,
        "category": IDS,
        "brand": IDS,
        "url": LONG,
        "image_url": LONG,
        "currency": LONG,
        "price": st.floats(1, 100),
        "channel": IDS,
        "purpose": st.sampled_from([None, "marketing", "transactional", "x"]),
        "status": st.sampled_from(["granted", "denied"]),
        "source": LONG,
        "text_version": LONG,
        "products": st.lists(st.fixed_dictionaries({"product_id": IDS, "name": LONG, "url": LONG}), max_size=30),
    },
)
TRAITS = st.dictionaries(IDS, st.one_of(LONG, st.lists(LONG, max_size=20)), min_size=10, max_size=30)


def events(lane: LaneHarness, told: list[tuple[str, dict[str, Any]]], traits: list[dict[str, Any]]) -> list[Any]:
    made = [lane.event(name, NOON + number, properties=_known(fields)) for number, (name, fields) in enumerate(told)]
    return made + [lane.raw({"type": "identify", "traits": one, "anonymousId": next(iter(one))}) for one in traits]


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(st.tuples(st.sampled_from(NAMES), PROPERTIES), min_size=20, max_size=60), st.lists(TRAITS, max_size=3))
def test_a_record_stays_within_its_limit(told: list[tuple[str, dict[str, Any]]], traits: list[dict[str, Any]]) -> None:
    lane = LaneHarness()
    for event in events(lane, told, traits):
        lane.run([event])
        assert len(lane.store.values[keys.profile_key("ana")]) <= MAX_BYTES


def test_a_no_and_an_age_outlast_everything_else() -> None:
    lane = LaneHarness()
    lane.run(lane.allow("push", status="denied"))
    lane.run([lane.raw({"type": "identify", "traits": {"age": 15}})])
    huge = {"product_id": "p", "source": "x"} | dict.fromkeys(("name", "url", "brand", "category"), "😀" * 255)
    for number in range(60):
        lines = [huge | {"product_id": f"{'语' * 250}{line}"} for line in range(30)]
        properties = {"cart_id": f"{'语' * 250}{number}", "order_id": f"{'语' * 250}{number}", "products": lines}
        lane.run([lane.event(NAMES[number % 4], NOON + number, properties=properties)])
        traits = {f"{'语' * 250}{number}{other}": ["\U0001f600" * 255] * 20 for other in range(3)}
        lane.run([lane.raw({"type": "identify", "traits": traits})])
    profile = lane.profile()
    assert len(lane.store.values[keys.profile_key("ana")]) <= MAX_BYTES
    assert not profile.consent["push:marketing"].granted
    assert profile.traits["age"] == 15
