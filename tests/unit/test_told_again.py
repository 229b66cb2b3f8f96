"""Orders that are told again, and carts that are told to be empty: through a lane, as their customers would feel it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.core import DELAY_S, NOON, LaneHarness
from tests.support.intake import NOW, map_all
from workers.core.profile.carts import ONLY_CART
from workers.core.stream.records import Record


def order(lane: LaneHarness, at_s: float, order_id: Any = "1001", **more: Any) -> Record:
    return lane.event(
        "Order Completed", at_s, properties={"order_id": order_id, "total": 50.0, "currency": "EUR"} | more
    )


def test_an_order_that_is_told_again_counts_once_and_leaves_the_next_cart_alone() -> None:
    lane = LaneHarness()
    lane.run([*lane.allow("push"), lane.add("c", NOON), order(lane, NOON + 60), order(lane, NOON + 61)], NOON + 61)
    lane.run([lane.add("c", NOON + 100, product_id="case"), order(lane, NOON + 120)], NOON + 120)
    profile = lane.profile()
    assert (profile.orders, profile.revenue, list(profile.purchases)) == (1, {"EUR": 50.0}, ["1001"])
    assert list(profile.carts["c"].lines) == ["case"], "what came after the order was not bought by it"
    assert profile.last_order_at == NOON + 60
    lane.run([], NOON + 100 + DELAY_S)
    assert len(lane.requests) == 1, "the new cart is still open"


def test_an_order_is_known_when_its_purchase_is_long_forgotten() -> None:
    lane = LaneHarness()
    lane.run([order(lane, NOON + number, f"o-{number}") for number in range(30)])
    lane.run([order(lane, NOON + 100, "o-3")])
    assert lane.profile().orders == 30


def test_an_order_that_was_cancelled_is_not_ordered_by_being_told_again() -> None:
    lane = LaneHarness()
    lane.run([order(lane, NOON), lane.event("Order Cancelled", NOON + 5, properties={"order_id": "1001"})])
    lane.run([order(lane, NOON + 9)])
    assert (lane.profile().orders, lane.profile().purchases) == (1, {})


def test_the_second_word_on_an_order_may_name_the_cart_that_it_closes() -> None:
    lane = LaneHarness()
    carts = [lane.add("a", NOON, product_id="x"), lane.add("b", NOON, product_id="y")]
    lane.run([*carts, order(lane, NOON + 60), order(lane, NOON + 62, cart_id="b")])
    assert list(lane.profile().carts) == ["a"]


def test_an_order_told_again_without_its_cart_leaves_other_carts_alone() -> None:
    lane = LaneHarness()
    carts = [lane.add("a", NOON, product_id="x"), lane.add("b", NOON, product_id="y")]
    lane.run(
        [*carts, order(lane, NOON + 60, cart_id="a"), lane.add("b", NOON + 70, product_id="z"), order(lane, NOON + 80)]
    )
    assert {cart_id: cart.opened_at for cart_id, cart in lane.profile().carts.items()} == {"b": NOON}


def test_an_order_of_an_unknown_checkout_closes_the_only_open_cart() -> None:
    lane = LaneHarness()
    lane.run([*lane.allow("push"), lane.add("c-1", NOON), order(lane, NOON + 60, checkout_id="ch-77")])
    assert lane.profile().carts == {}
    late = lane.event("Checkout Started", NOON + 30, properties={"checkout_id": "ch-77", "product_id": "smart-band"})
    lane.run([late])
    lane.run([], NOON + 2 * DELAY_S)
    assert lane.requests == []


def test_an_order_of_an_unknown_cart_leaves_the_others_open() -> None:
    lane = LaneHarness()
    lane.run([lane.add("c-1", NOON), order(lane, NOON + 60, cart_id="c-77")])
    assert list(lane.profile().carts) == ["c-1"]


SEGMENT = {"type": "track", "event": "Order Completed", "userId": "ana", "timestamp": NOW.isoformat()}
GA4 = {"user_id": "ana", "client_id": "1.2", "timestamp_micros": int(NOW.timestamp() * 1e6)}
PURCHASE = {"transaction_id": "1001", "value": 50.0, "currency": "EUR", "items": [{"item_id": "p"}]}
TWICE: list[tuple[Any, Any]] = [
    (
        SEGMENT | {"properties": {"order_id": 1001, "revenue": 50, "currency": "EUR"}},
        SEGMENT | {"properties": {"order_id": "1001", "revenue": 50, "currency": "EUR"}},
    ),
    (
        SEGMENT | {"properties": {"order_id": "1001", "revenue": 50, "currency": "EUR"}},
        GA4 | {"events": [{"name": "purchase", "params": PURCHASE}]},
    ),
]


@pytest.mark.parametrize(("one", "other"), TWICE, ids=["a number and a text", "Segment and GA4"])
def test_two_trackers_that_tell_of_one_order_make_one(one: Any, other: Any) -> None:
    lane = LaneHarness()
    events = [event for told in (one, other) for event in map_all(json.dumps(told).encode()).events]
    assert len(events) == 2
    lane.run([lane.record(event.value, event.key) for event in events], NOW.timestamp())
    assert (lane.profile().orders, lane.profile().revenue) == (1, {"EUR": 50.0})


def cart_of(lane: LaneHarness) -> dict[str, int]:
    carts = lane.profile().carts
    return {line.product_id: line.quantity for line in carts[ONLY_CART].lines.values()} if ONLY_CART in carts else {}


def told(lane: LaneHarness, name: str, at_s: float, **properties: Any) -> Record:
    return lane.event(name, at_s, properties=properties)


@pytest.mark.parametrize("name", ["Cart Viewed", "Checkout Started"])
def test_a_cart_that_is_told_to_be_empty_is_empty_and_nobody_is_reminded(name: str) -> None:
    lane = LaneHarness()
    added = told(lane, "Product Added", NOON, product_id="smart-band")
    lane.run([*lane.allow("push"), added, told(lane, name, NOON + 60, products=[])])
    assert cart_of(lane) == {}
    lane.run([told(lane, "Product Added", NOON + 30, product_id="case")])
    assert cart_of(lane) == {}, "what came late was in the cart before it was emptied"
    lane.run([], NOON + 2 * DELAY_S)
    assert lane.requests == []


def test_a_cart_of_which_nothing_is_told_keeps_its_lines() -> None:
    lane = LaneHarness()
    added = told(lane, "Product Added", NOON, product_id="smart-band")
    lane.run([added, told(lane, "Cart Viewed", NOON + 60), told(lane, "Checkout Started", NOON + 61)])
    assert cart_of(lane) == {"smart-band": 1}


@pytest.mark.parametrize(
    ("name", "properties", "left"),
    [
        ("Product Added", {"product_id": "case", "quantity": 0}, {"band": 2}),
        ("Product Added", {"product_id": "band", "quantity": -1}, {"band": 2}),
        ("Product Added", {"product_id": "band", "quantity": 3}, {"band": 5}),
        ("Product Added", {"product_id": "band"}, {"band": 3}),
        ("Cart Viewed", {"products": [{"product_id": "band", "quantity": 0}]}, {}),
        ("Cart Viewed", {"products": [{"product_id": "band", "quantity": 0}, {"product_id": "case"}]}, {"case": 1}),
        ("Product Removed", {"product_id": "band"}, {"band": 1}),
        ("Product Removed", {"product_id": "band", "quantity": 0}, {}),
        ("Product Removed", {"products": [{"product_id": "band", "quantity": 2}]}, {}),
    ],
)
def test_a_quantity_of_zero_is_none(name: str, properties: dict[str, Any], left: dict[str, int]) -> None:
    lane = LaneHarness()
    lane.run(
        [told(lane, "Product Added", NOON, product_id="band", quantity=2), told(lane, name, NOON + 1, **properties)]
    )
    assert cart_of(lane) == left
