"""Open carts, each by its id, whatever order their events arrive in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.base import SourceEvent
from schemas.events import Product, Properties, Track
from workers.core import carts
from workers.core.profile import MAX_CARTS, Profile

NOON = 1_709_553_600.0
SOURCE = SourceEvent("customer.events", 0, 0)


def track(name: str, at_s: float, **properties: Any) -> tuple[Track, float]:
    timestamp = datetime.fromtimestamp(at_s, UTC)
    return Track(
        message_id="m", timestamp=timestamp, user_id="u", event=name, properties=Properties(**properties)
    ), at_s


def after(*events: tuple[Track, float]) -> Profile:
    profile = Profile(customer_id="u")
    for event, at_s in events:
        carts.fold(profile, event, at_s, SOURCE)
    return profile


def contents(profile: Profile) -> dict[str, dict[str, int]]:
    return {
        cart_id: {line.product_id: line.quantity for line in cart.lines.values()}
        for cart_id, cart in profile.carts.items()
    }


ADD_A = track("Product Added", NOON, product_id="a", cart_id="c1", price=10.0)
ADD_A_AGAIN = track("Product Added", NOON + 1, product_id="a", cart_id="c1", quantity=2)
ADD_B = track("Product Added", NOON + 20, product_id="b", cart_id="c1")
ADD_OTHER = track("Product Added", NOON + 5, product_id="b", cart_id="c2")
REMOVE_A = track("Product Removed", NOON + 10, product_id="a", cart_id="c1")
BUY = track("Order Completed", NOON + 15, order_id="o", cart_id="c1")
BUY_UNNAMED = track("Order Completed", NOON + 15, order_id="o", products=[Product(product_id="b")])
VIEWED = track("Cart Viewed", NOON + 2, cart_id="c1", products=[Product(product_id="z", quantity=4)])
NO_ID = track("Product Added", NOON, product_id="a")


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((ADD_A,), {"c1": {"a": 1}}),
        ((ADD_A, ADD_A_AGAIN), {"c1": {"a": 3}}),
        ((ADD_A, ADD_OTHER), {"c1": {"a": 1}, "c2": {"b": 1}}),
        ((ADD_A, REMOVE_A), {}),
        ((ADD_A, BUY), {}),
        ((ADD_A, ADD_OTHER, BUY), {"c2": {"b": 1}}),
        ((ADD_A, ADD_OTHER, BUY_UNNAMED), {"c1": {"a": 1}}),
        ((ADD_OTHER, BUY_UNNAMED), {}),
        ((BUY, ADD_A), {}),  # the purchase arrived first
        ((ADD_A, ADD_B, BUY), {"c1": {"b": 1}}),  # b was added after the purchase, which arrived late
        ((ADD_A, BUY, ADD_B), {"c1": {"b": 1}}),
        ((VIEWED,), {"c1": {"z": 4}}),
        ((ADD_A, VIEWED), {"c1": {"z": 4}}),  # the view shows the whole cart
        ((ADD_B, VIEWED), {"c1": {"b": 1, "z": 4}}),  # b was added after the view, which arrived late
        ((NO_ID,), {carts.ONLY_CART: {"a": 1}}),
        ((REMOVE_A,), {}),
    ],
)
def test_what_is_in_the_carts(events: tuple[tuple[Track, float], ...], expected: dict[str, dict[str, int]]) -> None:
    assert contents(after(*events)) == expected


def test_an_unknown_price_does_not_replace_a_known_one() -> None:
    profile = after(ADD_A, ADD_A_AGAIN)
    assert profile.carts["c1"].lines["a"].price == 10.0
    assert profile.carts["c1"].value == 30.0


def test_the_oldest_cart_is_forgotten_when_there_are_too_many() -> None:
    events = [track("Product Added", NOON + n, product_id="a", cart_id=f"c{n}") for n in range(MAX_CARTS + 2)]
    assert set(contents(after(*events))) == {f"c{n}" for n in range(2, MAX_CARTS + 2)}


def test_a_forgotten_cart_is_reported_so_that_its_timer_is_cancelled() -> None:
    profile = after(*[track("Product Added", NOON + n, product_id="a", cart_id=f"c{n}") for n in range(MAX_CARTS)])
    event, at_s = track("Product Added", NOON + 99, product_id="a", cart_id="new")
    assert set(carts.fold(profile, event, at_s, SOURCE)) == {"new", "c0"}
