"""What a customer has bought: orders that are new, told again, told late, undone; and what a product was bought since."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.base import SourceEvent
from schemas.events import Product, Properties
from workers.core.profile import orders
from workers.core.profile.model import MAX_BOUGHT, MAX_ORDERED, MAX_PURCHASES, Profile

NOON = 1_709_553_600.0
SOURCE = SourceEvent("customer.events", 0, 7)


def told(order_id: str | None = "o1", *products: str, **fields: Any) -> Properties:
    return Properties(order_id=order_id, products=[Product(product_id=product) for product in products], **fields)


def after(*told_of: tuple[Properties, float]) -> Profile:
    profile = Profile(customer_id="u")
    for properties, at_s in told_of:
        orders.fold(profile, properties, at_s, SOURCE)
    return profile


def test_an_order_is_kept_with_what_was_bought() -> None:
    profile = Profile(customer_id="u")
    assert orders.fold(profile, told("o1", "a", "b"), NOON, SOURCE) == ["o1"]
    bought = profile.purchases["o1"]
    assert (bought.at, bought.product_ids, bought.source) == (NOON, ["a", "b"], SOURCE)
    assert orders.fold(profile, told("o1", "c"), NOON + 1, SOURCE) == []
    assert profile.purchases["o1"].product_ids == ["a", "b"]


def test_an_order_without_an_id_is_one_of_its_moment() -> None:
    profile = after((told(None, "a"), NOON), (told(None, "b"), NOON + 0.0004), (told(None, "c"), NOON + 0.002))
    assert {order: bought.product_ids for order, bought in profile.purchases.items()} == {
        f"@{NOON * 1000:.0f}": ["a"],
        f"@{NOON * 1000 + 2:.0f}": ["c"],
    }
    assert profile.ordered == {}
    assert orders.first_reported_at(profile, told(None, "a")) is None


def test_what_is_kept_is_bounded_and_the_oldest_leaves() -> None:
    profile = after(*((told(f"o{number}"), NOON - number) for number in range(MAX_PURCHASES)))
    assert orders.fold(profile, told("new"), NOON + 1, SOURCE) == ["new", f"o{MAX_PURCHASES - 1}"]
    assert len(profile.purchases) == MAX_PURCHASES
    assert orders.fold(profile, told("old"), NOON - 999, SOURCE) == ["old", "old"], "older than all: it leaves at once"
    for number in range(MAX_ORDERED):
        orders.fold(profile, told(f"p{number}"), NOON + 10 + number, SOURCE)
    assert len(profile.ordered) == MAX_ORDERED
    assert orders.first_reported_at(profile, told("o0")) is None
    assert orders.first_reported_at(profile, told("p0")) == NOON + 10
    many = after((told("o1", *(f"p{number}" for number in range(MAX_BOUGHT + 5))), NOON))
    assert len(many.purchases["o1"].product_ids) == MAX_BOUGHT
    long = after((told("x" * 300, "y" * 300), NOON))
    assert list(long.purchases) == ["x" * 256]
    assert long.purchases["x" * 256].product_ids == ["y" * 256]


def test_when_an_order_was_first_told() -> None:
    profile = after((told("o1"), NOON))
    assert (orders.first_reported_at(profile, told("o1")), orders.first_reported_at(profile, told("o2"))) == (
        NOON,
        None,
    )
    profile.ordered = {}
    assert orders.first_reported_at(profile, told("o1")) == NOON, "of profiles that were kept before ids were"


@pytest.mark.parametrize(
    ("at_s", "first", "last"),
    [
        (-60, -60, -30),  # told late: the other order was the last one then
        (0, 0, 0),
        (60, 0, 0),
        (-20, -20, -20),
    ],
)
def test_the_earliest_word_on_an_order_counts(at_s: float, first: float, last: float) -> None:
    profile = after((told("other"), NOON - 30), (told("o1"), NOON))
    profile.last_order_at = NOON
    orders.move_earlier(profile, "o1", NOON + at_s)
    assert orders.first_reported_at(profile, told("o1")) == NOON + first
    assert profile.purchases["o1"].at == NOON + first
    assert profile.last_order_at == NOON + last


def test_a_later_order_stays_the_last_one() -> None:
    profile = after((told("o1"), NOON), (told("later"), NOON + 50))
    profile.last_order_at = NOON + 50
    orders.move_earlier(profile, "o1", NOON - 60)
    assert profile.last_order_at == NOON + 50
    del profile.purchases["o1"]
    orders.move_earlier(profile, "o1", NOON - 90)
    assert orders.first_reported_at(profile, told("o1")) == NOON - 90
    orders.move_earlier(profile, "never told", NOON - 90)
    assert len(profile.ordered) == 2


def test_the_last_order_is_remembered_when_its_purchase_is_not() -> None:
    profile = after((told("o1"), NOON))
    profile.last_order_at = NOON + 500
    orders.move_earlier(profile, "o1", NOON - 60)
    assert profile.last_order_at == NOON + 500


def test_an_order_that_is_undone_was_no_purchase() -> None:
    profile = after((told("o1", "a"), NOON))
    assert orders.remove(profile, told("o2")) == []
    assert orders.remove(profile, told(None)) == []
    assert orders.remove(profile, told("o1")) == ["o1"]
    assert profile.purchases == {}
    assert orders.first_reported_at(profile, told("o1")) == NOON, "told again it is no new order"
    assert orders.remove(after((told("x" * 300), NOON)), told("x" * 300)) == ["x" * 256]


@pytest.mark.parametrize(("since_s", "bought"), [(NOON - 1, True), (NOON, True), (NOON + 1, False)])
def test_what_was_bought_since(since_s: float, *, bought: bool) -> None:
    profile = after((told("o1", "a", "b"), NOON), (told("o2", "c"), NOON - 100))
    assert orders.bought_since(profile, "a", since_s) is bought
    assert not orders.bought_since(profile, "c", since_s)
    assert not orders.bought_since(profile, "z", 0.0)
