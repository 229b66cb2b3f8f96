"""Open carts, each by its id, whatever order their events arrive in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.base import SourceEvent
from schemas.events import Product, Properties, Track
from workers.core.profile import carts
from workers.core.profile.model import MAX_CART_LINES, MAX_CARTS, MAX_CLOSED_CARTS, Profile

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
ADD_A_LATER = track("Product Added", NOON + 20, product_id="a", cart_id="c1")
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
        ((ADD_A, ADD_A_LATER, BUY), {"c1": {"a": 2}}),  # a was added anew after the purchase, which arrived late
        ((ADD_A_LATER, ADD_A, BUY), {"c1": {"a": 2}}),
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


# -- what each event changes, and what it reports ------------------------------------------------------------------------


def folded(profile: Profile, *events: tuple[Track, float]) -> list[list[str]]:
    return [carts.fold(profile, event, at_s, SOURCE) for event, at_s in events]


def lines(*products: str, **fields: Any) -> list[Product]:
    return [Product(product_id=product, **fields) for product in products]


@pytest.mark.parametrize(
    ("events", "changed"),
    [
        ((ADD_A, REMOVE_A), [["c1"], ["c1"]]),
        ((REMOVE_A,), [[]]),
        ((ADD_A, BUY, BUY), [["c1"], ["c1"], ["c1"]]),
        ((BUY, ADD_A), [["c1"], []]),
        ((track("Cart Viewed", NOON, cart_id="c1", products=[]),), [[]]),
        ((ADD_A, track("Cart Viewed", NOON + 2, cart_id="c1", products=[])), [["c1"], ["c1"]]),
        ((track("Product Added", NOON, product_id="a", quantity=0, cart_id="c1"),), [[]]),
    ],
)
def test_the_carts_that_changed_are_reported(events: tuple[tuple[Track, float], ...], changed: list[list[str]]) -> None:
    assert folded(Profile(customer_id="u"), *events) == changed


@pytest.mark.parametrize(
    ("ids", "cart_id"),
    [
        ({"cart_id": "c", "checkout_id": "k"}, "c"),
        ({"checkout_id": "k"}, "k"),
        ({}, carts.ONLY_CART),
        ({"cart_id": ""}, carts.ONLY_CART),
        ({"cart_id": "x" * 300}, "x" * 256),
    ],
)
def test_the_cart_that_an_event_is_about(ids: dict[str, str], cart_id: str) -> None:
    assert contents(after(track("Product Added", NOON, product_id="a", **ids))) == {cart_id: {"a": 1}}


def test_the_time_and_currency_of_a_cart() -> None:
    profile = after(
        track("Product Added", NOON + 5, product_id="a", cart_id="c1", currency="EUR"),
        track("Product Added", NOON, product_id="b", cart_id="c1"),  # late
        track("Product Added", NOON + 9, product_id="b", cart_id="c1", currency="x" * 20),
    )
    cart = profile.carts["c1"]
    assert (cart.opened_at, cart.updated_at, cart.currency, cart.source) == (NOON + 5, NOON + 9, "x" * 8, SOURCE)
    assert cart.lines["b"].added_at == NOON + 9, "when it was added last"
    kept = after(track("Product Added", NOON, product_id="a", currency="EUR"), NO_ID)
    assert kept.carts[carts.ONLY_CART].currency == "EUR"


@pytest.mark.parametrize(
    ("name", "shown", "at_s", "left"),
    [
        ("Cart Viewed", ["a"], 10, {"a": 1}),
        ("Checkout Started", ["a"], 10, {"a": 1}),
        ("Cart Viewed", [], 10, None),
        ("Cart Viewed", None, 10, {"a": 1, "b": 1}),  # does not say what is in it
        ("Cart Viewed", ["a"], 2, {"a": 1}),  # as new as the last change
        ("Cart Viewed", ["a"], 1, {"a": 1, "b": 1}),  # late
    ],
)
def test_a_view_shows_the_whole_cart_unless_it_is_late(
    name: str, shown: list[str] | None, at_s: int, left: dict[str, int] | None
) -> None:
    profile = after(
        track("Product Added", NOON, product_id="a", cart_id="c1"),
        track("Product Added", NOON + 2, product_id="b", cart_id="c1"),
        track(name, NOON + at_s, cart_id="c1", products=None if shown is None else lines(*shown)),
    )
    assert contents(profile) == ({} if left is None else {"c1": left})


def test_a_view_at_the_time_of_the_last_change_counts() -> None:
    profile = after(ADD_A, ADD_B, track("Cart Viewed", NOON + 20, cart_id="c1", products=lines("a")))
    assert contents(profile) == {"c1": {"a": 1}}


def test_a_cart_that_was_shown_empty_stays_closed_for_what_is_older() -> None:
    emptied = track("Cart Viewed", NOON + 30, cart_id="c1", products=[])
    assert contents(after(ADD_A, emptied, ADD_B)) == {}
    assert contents(after(ADD_A, emptied, track("Product Added", NOON + 30, product_id="b", cart_id="c1"))) == {
        "c1": {"b": 1}
    }


@pytest.mark.parametrize(
    ("quantities", "left"),
    [([2, 3], 5), ([None, None], 2), ([999_999, 5], 1_000_000), ([3, 0], 3), ([3, -1], 3)],
)
def test_adding_adds(quantities: list[int | None], left: int) -> None:
    events = [track("Product Added", NOON, product_id="a", quantity=quantity) for quantity in quantities]
    assert contents(after(*events)) == {carts.ONLY_CART: {"a": left}}


@pytest.mark.parametrize(("removed", "left"), [(1, 2), (None, 2), (3, 0), (4, 0), (0, 0), (2, 1)])
def test_removing_takes_away(removed: int | None, left: int) -> None:
    add = track("Product Added", NOON, product_id="a", quantity=3)
    profile = after(add, track("Product Removed", NOON + 1, product_id="a", quantity=removed))
    assert contents(profile) == ({carts.ONLY_CART: {"a": left}} if left else {})


def test_removing_what_is_not_there_changes_nothing() -> None:
    profile = after(ADD_A, track("Product Removed", NOON + 1, product_id="z", cart_id="c1"))
    assert contents(profile) == {"c1": {"a": 1}}


def test_a_view_sets_quantities() -> None:
    view = track("Cart Viewed", NOON + 1, products=[Product(product_id="a", quantity=2), *lines("b", quantity=0)])
    assert contents(after(NO_ID, view)) == {carts.ONLY_CART: {"a": 2}}


def test_what_is_known_of_a_line_is_renewed_and_never_forgotten() -> None:
    words = {"name": "Band", "category": "wear", "brand": "Acme", "url": "https://u", "image_url": "https://i"}

    def told(at_s: float, price: float | None, **fields: Any) -> tuple[Track, float]:
        return track("Product Added", at_s, products=[Product(product_id="a", price=price, **fields)])

    line = after(told(NOON, 1.0, **words), told(NOON + 1, None)).carts[carts.ONLY_CART].lines["a"]
    assert (line.price, line.name, line.category, line.brand, line.url, line.image_url) == (1.0, *words.values())
    long = dict.fromkeys(words, "y" * 300)
    line = after(told(NOON, 1.0, **words), told(NOON + 1, 2.0, **long)).carts[carts.ONLY_CART].lines["a"]
    assert (line.price, line.name, line.category, line.brand) == (2.0, "y" * 256, "y" * 256, "y" * 256)
    assert (line.url, line.image_url) == ("y" * 256, "y" * 256)


@pytest.mark.parametrize(
    ("price", "known"),
    [(0.01, True), (0.0, False), (-1.0, False), (None, False), (1e12, False), (999_999_999_999.5, True)],
)
def test_what_a_price_is(price: float | None, *, known: bool) -> None:
    assert carts.known_price(price) is known


def test_a_cart_has_so_many_lines_at_most_and_renews_those() -> None:
    events = [track("Product Added", NOON, product_id=f"p{number}") for number in range(MAX_CART_LINES + 2)]
    profile = after(*events, track("Product Added", NOON, product_id="p0"))
    held = contents(profile)[carts.ONLY_CART]
    assert (len(held), held["p0"], f"p{MAX_CART_LINES}" in held) == (MAX_CART_LINES, 2, False)


# -- orders --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("open_carts", "order", "left"),
    [
        ({"c1": "a", "c2": "b"}, {"cart_id": "c1"}, {"c2"}),
        ({"c1": "a", "c2": "b"}, {"checkout_id": "c1"}, {"c2"}),
        ({"c1": "a"}, {"checkout_id": "77"}, set()),  # a number of the checkout's own: the only cart
        ({"c1": "a", "c2": "b"}, {"checkout_id": "77", "products": lines("b")}, {"c1"}),
        ({"c1": "a"}, {"cart_id": "gone"}, {"c1"}),  # a cart that is named is that one
        ({"c1": "a"}, {}, set()),
        ({"c1": "a", "c2": "b"}, {}, {"c1", "c2"}),
        ({"c1": "a", "c2": "a", "c3": "b"}, {"products": lines("a")}, {"c3"}),
        ({"c1": "a", "c2": "b"}, {"products": lines("b", quantity=0)}, {"c1", "c2"}),
        ({"c1": "a", "c2": "b"}, {"product_id": "b"}, {"c1"}),
    ],
)
def test_which_carts_an_order_closes(open_carts: dict[str, str], order: dict[str, Any], left: set[str]) -> None:
    added = [track("Product Added", NOON, product_id=product, cart_id=cart) for cart, product in open_carts.items()]
    profile = after(*added, track("Order Completed", NOON + 1, order_id="o", **order))
    assert set(profile.carts) == left
    assert open_carts.keys() - left <= profile.closed_carts.keys()


@pytest.mark.parametrize(
    ("named", "left"),
    [({"cart_id": "c1"}, set()), ({"checkout_id": "c1"}, set()), ({}, {"c1"}), ({"checkout_id": "7"}, {"c1"})],
)
def test_an_order_told_again_closes_only_the_cart_that_it_names(named: dict[str, Any], left: set[str]) -> None:
    profile = after(ADD_A)
    carts.close_bought(profile, Properties(order_id="o", **named), NOON + 1, again=True)
    assert set(profile.carts) == left


def test_what_was_added_after_an_order_is_another_cart() -> None:
    profile = after(ADD_A, ADD_B, BUY)  # b was added five seconds after the order
    assert (profile.carts["c1"].opened_at, list(profile.carts["c1"].lines)) == (NOON + 15, ["b"])
    untouched = after(ADD_B, BUY)
    assert untouched.carts["c1"].opened_at == NOON + 20, "nothing of it was bought: it is the same cart"
    at_once = after(track("Product Added", NOON + 15, product_id="b", cart_id="c1"), BUY)
    assert contents(at_once) == {}


def test_the_newest_order_of_a_cart_is_remembered() -> None:
    older = track("Order Completed", NOON - 100, order_id="o0", cart_id="c1")
    profile = after(BUY, older)
    assert profile.closed_carts == {"c1": NOON + 15}
    for number in range(MAX_CLOSED_CARTS + 3):
        folded(profile, track("Order Completed", NOON + 20 + number, order_id="o", cart_id=f"d{number}"))
    assert len(profile.closed_carts) == MAX_CLOSED_CARTS
    assert "c1" not in profile.closed_carts


def test_a_cart_that_is_shown_again_is_as_old_as_its_additions() -> None:
    bought = after(
        track("Product Added", 0, cart_id="c", product_id="band"),
        track("Cart Viewed", 100, cart_id="c", products=lines("band")),
        track("Order Completed", 50, order_id="o", products=lines("band")),
    )
    assert contents(bought) == {}
