"""One row a rule of each trigger: when it speaks, when it does not, and what ends it. The timelines are run as they stand."""

from __future__ import annotations

import msgspec
import pytest

from schemas.catalogue import CatalogueProduct
from tests.support.core import NOON, LaneHarness, make_playbook
from tests.timeline import Timeline
from workers.core.playbook.campaigns import BrowseAbandonment, CartAbandonment, CrossSell, RepeatView, Trigger
from workers.core.playbook.playbook import Playbook
from workers.core.playbook.policy import Policy

MINUTES = 60.0


def playbook(*triggers: Trigger) -> Playbook:
    """One live campaign a trigger, named after it; three products, of which the strap goes with the band."""
    base = make_playbook()
    model = base.campaigns["cart-abandonment"]
    names = [str(trigger.__struct_config__.tag).replace("_", "-") for trigger in triggers]
    campaigns = {
        name: msgspec.structs.replace(model, id=name, trigger=trigger, deadline_s=3600.0)
        for name, trigger in zip(names, triggers, strict=True)
    }
    products = {
        product_id: CatalogueProduct(
            product_id=product_id, name={"en": product_id}, price=99.0, currency="CNY", accessory_of=goes_with
        )
        for product_id, goes_with in (
            ("smart-band", []),
            ("wireless-earphones", []),
            ("strap", ["smart-band"]),
            ("charger", ["smart-band"]),
        )
    }
    return msgspec.structs.replace(base, campaigns=campaigns, products=products, policy=Policy())


CART = CartAbandonment(delay_s=30 * MINUTES)
REPEAT = RepeatView(delay_s=10 * MINUTES, views=3, within_s=24 * 60 * MINUTES)
BROWSE = BrowseAbandonment(delay_s=60 * MINUTES)
CROSS = CrossSell(delay_s=24 * 60 * MINUTES, offer=["accessories", "viewed"])

ROWS: dict[str, tuple[Playbook, str]] = {
    # -- cart_abandonment ----------------------------------------------------------------------------------------------
    "cart: left alone": (
        playbook(CART),
        """
        12:00  allow push
        12:00  add smart-band
        12:29  -> nothing
        12:30  -> requested push
        """,
    ),
    "cart: another look into it begins the wait anew": (
        playbook(CART),
        """
        12:00  allow push
        12:00  add smart-band
        12:20  add strap
        12:49  -> nothing
        12:50  -> requested push
        """,
    ),
    "cart: bought in time": (
        playbook(CART),
        """
        12:00  allow push
        12:00  add smart-band
        12:29  buys cart-1
        20:00  -> nothing
        """,
    ),
    "cart: another cart is bought, this one is still left": (
        playbook(CART),
        """
        12:00  allow push
        12:00  add wireless-earphones cart-1
        12:10  add smart-band cart-2
        12:20  buys cart-2
        12:30  -> requested push
        """,
    ),
    "cart: the same product was bought in another order": (
        playbook(CART),
        """
        12:00  allow push
        12:00  add smart-band cart-1
        12:10  add smart-band cart-2
        12:20  buys cart-2
        12:30  -> converted
        """,
    ),
    "cart: said once": (
        playbook(CART),
        """
        12:00  allow push
        12:00  add smart-band
        12:30  -> requested push
        12:30  words
        12:30  => published
        13:00  add strap
        20:00  -> nothing
        """,
    ),
    "cart: bought while the words are written": (
        playbook(CART),
        """
        12:00  allow push
        12:00  add smart-band
        12:30  -> requested push
        12:30  buys cart-1
        12:30  words
        12:30  => converted
        """,
    ),
    # -- repeat_view ---------------------------------------------------------------------------------------------------
    "repeat view: the third look": (
        playbook(REPEAT),
        """
        12:00  allow push
        12:00  look smart-band
        12:10  look smart-band
        12:20  look smart-band
        12:29  -> nothing
        12:30  -> requested push
        """,
    ),
    "repeat view: two are too few": (
        playbook(REPEAT),
        """
        12:00  allow push
        12:00  look smart-band
        12:10  look smart-band
        20:00  -> nothing
        """,
    ),
    "repeat view: three different products are not three looks at one": (
        playbook(REPEAT),
        """
        12:00  allow push
        12:00  look smart-band
        12:10  look strap
        12:20  look charger
        20:00  -> nothing
        """,
    ),
    "repeat view: too far apart": (
        playbook(REPEAT),
        """
        12:00  allow push
        12:00  look smart-band
        +1 11:00  look smart-band
        +1 12:01  look smart-band
        +2 10:00  -> nothing
        +2 10:30  look smart-band
        +2 10:40  -> requested push
        """,
    ),
    "repeat view: who goes on looking is not interrupted": (
        playbook(REPEAT),
        """
        12:00  allow push
        12:00  look smart-band
        12:05  look smart-band
        12:10  look smart-band
        12:15  look smart-band
        12:24  -> nothing
        12:25  -> requested push
        """,
    ),
    "repeat view: into the cart, then it is the cart's matter": (
        playbook(REPEAT, CART),
        """
        12:00  allow push
        12:00  look smart-band
        12:05  look smart-band
        12:10  look smart-band
        12:15  add smart-band
        12:45  -> requested push
        """,
    ),
    "repeat view: something was bought": (
        playbook(REPEAT),
        """
        12:00  allow push
        12:00  look smart-band
        12:05  look smart-band
        12:10  look smart-band
        12:15  buy wireless-earphones
        20:00  -> nothing
        """,
    ),
    "repeat view: looks before a purchase do not count for the time after it": (
        playbook(REPEAT),
        """
        12:00  allow push
        12:00  look smart-band
        12:05  look smart-band
        12:15  buy smart-band
        13:00  look smart-band
        20:00  -> nothing
        """,
    ),
    "repeat view: said once for one run of looks": (
        playbook(REPEAT),
        """
        12:00  allow push
        12:00  look smart-band
        12:05  look smart-band
        12:10  look smart-band
        12:20  -> requested push
        12:20  words
        12:20  => published
        13:00  look smart-band
        13:05  look smart-band
        20:00  -> nothing
        """,
    ),
    "repeat view: a week later it is another run": (
        playbook(REPEAT),
        """
        12:00  allow push
        12:00  look smart-band
        12:05  look smart-band
        12:10  look smart-band
        12:20  -> requested push
        12:20  words
        12:20  => published
        +8 12:00  look smart-band
        +8 12:05  look smart-band
        +8 12:10  look smart-band
        +8 12:20  -> requested push
        """,
    ),
    "repeat view: bought while the words are written": (
        playbook(REPEAT),
        """
        12:00  allow push
        12:00  look smart-band
        12:05  look smart-band
        12:10  look smart-band
        12:20  -> requested push
        12:20  buy smart-band
        12:20  words
        12:20  => converted
        """,
    ),
    # -- browse_abandonment --------------------------------------------------------------------------------------------
    "browse: looked around and left": (
        playbook(BROWSE),
        """
        12:00  allow push
        12:00  look smart-band
        12:10  look strap
        13:09  -> nothing
        13:10  -> requested push
        """,
    ),
    "browse: too little to speak of": (
        playbook(msgspec.structs.replace(BROWSE, views=3)),
        """
        12:00  allow push
        12:00  look smart-band
        12:10  look strap
        20:00  -> nothing
        """,
    ),
    "browse: the visit ended in a cart": (
        playbook(BROWSE),
        """
        12:00  allow push
        12:00  look smart-band
        12:10  add smart-band
        20:00  -> nothing
        """,
    ),
    "browse: the visit ended in an order": (
        playbook(BROWSE),
        """
        12:00  allow push
        12:00  look smart-band
        12:10  buy wireless-earphones
        20:00  -> nothing
        """,
    ),
    "browse: back before the time, so only the new visit counts": (
        playbook(BROWSE),
        """
        12:00  allow push
        12:00  look smart-band visit-1
        12:50  look strap visit-2
        13:49  -> nothing
        13:50  -> requested push
        """,
    ),
    "browse: each visit is an occurrence of its own": (
        playbook(BROWSE),
        """
        12:00  allow push
        12:00  look smart-band visit-1
        13:00  -> requested push
        13:00  words
        13:00  => published
        15:00  look smart-band visit-2
        16:00  -> requested push
        """,
    ),
    "browse: what went into a cart while the words are written": (
        playbook(BROWSE),
        """
        12:00  allow push
        12:00  look smart-band
        13:00  -> requested push
        13:00  add smart-band
        13:00  words
        13:00  => converted
        """,
    ),
    # -- cross_sell ----------------------------------------------------------------------------------------------------
    "cross sell: what goes with it": (
        playbook(CROSS),
        """
        12:00  allow push
        12:00  buy smart-band
        +1 11:59  -> nothing
        +1 12:00  -> requested push
        """,
    ),
    "cross sell: nothing goes with it": (
        playbook(CROSS),
        """
        12:00  allow push
        12:00  buy wireless-earphones
        +2 12:00  -> nothing
        """,
    ),
    "cross sell: what was looked at, where nothing goes with it": (
        playbook(CROSS),
        """
        11:50  allow push
        11:50  look smart-band
        12:00  buy wireless-earphones
        +1 12:00  -> requested push
        """,
    ),
    "cross sell: the order was cancelled": (
        playbook(CROSS),
        """
        12:00  allow push
        12:00  buy smart-band order-1
        15:00  cancel order-1
        +2 12:00  -> nothing
        """,
    ),
    "cross sell: cancelled while the words are written": (
        playbook(CROSS),
        """
        12:00  allow push
        12:00  buy smart-band order-1
        +1 12:00  -> requested push
        +1 12:00  cancel order-1
        +1 12:00  words
        +1 12:00  => stale
        """,
    ),
    "cross sell: bought while the words are written": (
        playbook(CROSS),
        """
        12:00  allow push
        12:00  buy smart-band order-1
        +1 12:00  -> requested push
        +1 12:00  buy strap order-2
        +1 12:00  words
        +1 12:00  => converted
        """,
    ),
    "cross sell: each order once, however often it is told": (
        playbook(msgspec.structs.replace(CROSS, offer=["accessories"])),
        """
        12:00  allow push
        12:00  buy smart-band order-1
        12:01  buy smart-band order-1
        +1 12:00  -> requested push
        +1 12:00  words
        +1 12:00  => published
        +3 12:00  -> nothing
        """,
    ),
}


@pytest.mark.parametrize("row", list(ROWS))
def test_trigger(row: str) -> None:
    book, timeline = ROWS[row]
    lane = Timeline(book)
    try:
        lane.run(timeline)
    finally:
        assert len({decision.decision_id for decision in lane.lane.decisions}) == len(lane.lane.decisions)


def product_of(row: str) -> str | None:
    book, timeline = ROWS[row]
    *_, decision = Timeline(book).run(timeline).decisions
    return decision.product_id


def test_the_message_is_about_the_right_product() -> None:
    assert product_of("repeat view: the third look") == "smart-band"
    assert product_of("cross sell: what goes with it") == "strap"
    assert product_of("cross sell: what was looked at, where nothing goes with it") == "smart-band"
    assert product_of("cart: another cart is bought, this one is still left") == "wireless-earphones"


def test_a_visit_is_about_what_was_looked_at_most_then_last() -> None:
    lane = Timeline(playbook(BROWSE)).run(
        """
        12:00  allow push
        12:00  look strap
        12:05  look smart-band
        12:06  look strap
        12:07  look charger
        13:07  -> requested push
        """
    )
    assert lane.decisions[0].product_id == "strap"


def test_an_accessory_that_the_customer_has_is_not_offered() -> None:
    lane = Timeline(playbook(CROSS)).run(
        """
        12:00  allow push
        12:00  buy strap order-0
        12:30  buy smart-band order-1
        +1 12:30  -> requested push
        """
    )
    assert lane.decisions[0].product_id == "charger"


def test_products_that_only_events_know_keep_what_events_said_where_the_playbook_allows_it() -> None:
    named = {"electronics.tv": {"en": "TV"}}
    allowing = Policy(undescribed_products="unnamed")
    lane = LaneHarness(msgspec.structs.replace(playbook(REPEAT), policy=allowing, category_names=named))
    lane.run(lane.allow("push"))
    looks = [
        lane.view("tv-1", NOON + n, category="electronics.tv", brand="acme", price=250.0, currency="EUR")
        for n in range(3)
    ]
    lane.run(looks)
    lane.run([], NOON + 3600)
    product = lane.requests[0].product
    assert (product.product_id, product.category, product.brand) == ("tv-1", "electronics.tv", "acme")
    assert (product.price, product.currency) == (250.0, "EUR")


def test_a_late_look_does_not_make_the_occurrence_another() -> None:
    # looks at 12:00 12:05 12:10 ── 12:20 requested ── a look of 11:58 arrives: no second message
    lane = LaneHarness(playbook(REPEAT))
    lane.run([*lane.allow("push"), *(lane.view(at_s=NOON + 300 * n) for n in range(3))])
    lane.run([], NOON + 1200)
    lane.run([lane.view(at_s=NOON - 120)], NOON + 1300)
    lane.run([], NOON + 7200)
    assert len(lane.decisions) == 1


def test_a_restart_in_between_changes_nothing() -> None:
    for row, (book, text) in ROWS.items():
        lines = [line for line in text.splitlines() if line.strip()]
        plain = Timeline(book).run("\n".join(lines))
        times = [line.strip().split("  ")[0] for line in lines]
        restarted = Timeline(book).run(
            "\n".join(part for line, time in zip(lines, times, strict=True) for part in (line, f"{time}  restart"))
        )
        assert restarted.decisions == plain.decisions, row
        assert restarted.outcomes == plain.outcomes, row


def test_a_decided_cart_is_not_decided_again_however_much_was_decided_since() -> None:
    # cart decided ── 100 visits, each decided ── the cart changes once more: still nothing to say about it
    book = playbook(CART, BROWSE)
    lane = LaneHarness(book)
    lane.run([*lane.allow("push"), lane.add()])
    lane.run([], NOON + 1800)
    for visit in range(100):
        at_s = NOON + 7200 * (visit + 1)
        lane.run([lane.view("strap", at_s, session_id=f"visit-{visit}")], at_s)
        lane.run([], at_s + 3600)
    assert len(lane.decisions) == 101
    at_s = NOON + 7200 * 102
    lane.run([lane.add("cart-1", at_s, product_id="charger")], at_s)
    lane.run([], at_s + 7200)
    assert len(lane.decisions) == 101
    assert len(lane.profile().done) <= 60
