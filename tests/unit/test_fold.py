"""What each kind of event makes of a profile, beside carts, looks, purchases and consent, which have tests of their own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from schemas.base import SourceEvent
from schemas.catalogue import CatalogueProduct
from schemas.events import (
    Alias,
    AnyEvent,
    ConsentPreferences,
    Context,
    Group,
    Identify,
    Page,
    Product,
    Properties,
    Screen,
    Track,
)
from workers.core.common.timestamps import instant
from workers.core.profile import decay
from workers.core.profile.consent import Rules
from workers.core.profile.fold import SESSION_GAP_S, Folded, fold
from workers.core.profile.model import (
    MAX_ANONYMOUS_IDS,
    MAX_INTERESTS,
    MAX_NAME,
    MAX_NAMES,
    MAX_RECENT,
    MAX_TEXT,
    MAX_TRAITS,
    OTHER_NAMES,
    Profile,
)

NOON = 1_709_553_600.0  # 2024-03-04 12:00 UTC
DAY = 86_400.0
CATALOGUE = {
    "band": CatalogueProduct(
        product_id="band",
        name={"en": "Band"},
        category="wearables",
        brand="Acme",
        tags=["sports"],
        facts={},
        price=1.0,
        currency="EUR",
        url="https://shop.example/band",
    )
}


class Customer:
    """A profile and what the last event said of it."""

    def __init__(self, **fields: Any) -> None:
        self.profile = Profile(customer_id="u", **fields)
        self.folded = Folded()

    def see(self, kind: type[AnyEvent], at_s: float = NOON, now_s: float | None = None, **fields: Any) -> Customer:
        values: dict[str, Any] = {
            "message_id": "m",
            "timestamp": datetime.fromtimestamp(at_s, UTC),
            "user_id": "u",
        } | fields
        event = kind(**values)
        source = SourceEvent("customer.events", 0, 0)
        self.folded = fold(
            self.profile, event, at_s, source, CATALOGUE, now_s=at_s if now_s is None else now_s, rules=Rules()
        )
        return self

    def track(self, name: str, at_s: float = NOON, **properties: Any) -> Customer:
        return self.see(Track, at_s, event=name, properties=Properties(**properties))


# -- each kind of call -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fields", "counted"),
    [
        (Track, {"event": "Looked"}, "Looked"),
        (Identify, {}, "identify"),
        (Page, {"name": "Home"}, "Home"),
        (Page, {"name": "Home", "category": "Shop"}, "Home"),
        (Page, {"category": "Shop"}, "Shop"),
        (Page, {}, "page"),
        (Screen, {"name": "Start"}, "Start"),
        (Screen, {}, "page"),
        (Group, {"group_id": "g"}, "group"),
        (Alias, {"previous_id": "p"}, "alias"),
        (Track, {"event": "x" * 300}, "x" * MAX_NAME),
    ],
)
def test_every_call_is_counted_under_its_name(kind: type[AnyEvent], fields: dict[str, Any], counted: str) -> None:
    ana = Customer().see(kind, **fields)
    assert ana.folded.counted == counted
    assert ana.profile.counts == {counted: 1}
    assert decay.value(ana.profile.decayed[counted], ana.profile.landmark, NOON) == pytest.approx(1.0)
    assert (ana.profile.events, ana.profile.version, ana.profile.hours) == (1, 1, {12: 1})
    ana.see(kind, NOON + 3600, **fields)
    assert (ana.profile.counts, ana.profile.events, ana.profile.version) == ({counted: 2}, 2, 2)
    assert ana.profile.hours == {12: 1, 13: 1}


@pytest.mark.parametrize(
    ("kind", "running"),
    [(Track, True), (Page, True), (Screen, True), (Identify, False), (Group, False), (Alias, False)],
)
def test_which_calls_are_a_visit(kind: type[AnyEvent], *, running: bool) -> None:
    known: dict[Any, dict[str, Any]] = {
        Track: {"event": "Looked"},
        Group: {"group_id": "g"},
        Alias: {"previous_id": "p"},
    }
    ana = Customer().see(kind, **known.get(kind, {}))
    assert (ana.profile.session is not None) == running
    assert ana.profile.sessions == int(running)


def test_more_than_so_many_names_are_counted_as_others() -> None:
    ana = Customer()
    for number in range(MAX_NAMES):
        ana.track(f"e{number}")
    assert ana.track("e0").folded.counted == "e0"
    assert ana.track("one more").folded.counted == OTHER_NAMES
    ana.track("another")
    assert (ana.profile.counts["e0"], ana.profile.counts[OTHER_NAMES]) == (2, 2)
    assert len(ana.profile.counts) == MAX_NAMES + 1


def test_counts_fade_by_half_in_a_week_whatever_order_they_come_in() -> None:
    for times in ((NOON, NOON + 7 * DAY), (NOON + 7 * DAY, NOON)):
        ana = Customer()
        for at_s in times:
            ana.track("Looked", at_s)
        value = decay.value(ana.profile.decayed["Looked"], ana.profile.landmark, NOON + 7 * DAY)
        assert value == pytest.approx(1.5)


def test_after_years_the_landmark_moves_and_interests_fade_with_it() -> None:
    ana = Customer().track("Product Viewed", NOON, product_id="band")
    later = NOON + 4 * 365 * DAY
    ana.track("Looked", later)
    assert ana.profile.landmark == later
    assert ana.profile.interests == {}
    assert ana.profile.decayed == pytest.approx({"Looked": 1.0})


# -- who, when and where -----------------------------------------------------------------------------------------------------


def test_who_it_is() -> None:
    ana = Customer().see(Identify, user_id=None, anonymous_id="a0")
    assert (ana.profile.user_id, ana.profile.anonymous_ids) == (None, [])  # the customer's key is that id
    ana.see(Identify, user_id="u", anonymous_id="a1").see(Identify, user_id="other", anonymous_id="a1")
    assert (ana.profile.user_id, ana.profile.anonymous_ids) == ("u", ["a1"])
    for number in range(MAX_ANONYMOUS_IDS + 2):
        ana.see(Identify, anonymous_id=f"b{number}" + "x" * MAX_TEXT)
    assert len(ana.profile.anonymous_ids) == MAX_ANONYMOUS_IDS
    assert ana.profile.anonymous_ids[-1] == (f"b{MAX_ANONYMOUS_IDS + 1}" + "x" * MAX_TEXT)[:MAX_TEXT]
    assert "b1" not in [known[:2] for known in ana.profile.anonymous_ids[:1]]


def test_first_and_last_whatever_order_they_come_in() -> None:
    ana = Customer().track("x", NOON).track("x", NOON - 60).track("x", NOON + 60).track("x", NOON + 30)
    assert (ana.profile.first_seen, ana.profile.last_seen) == (NOON - 60, NOON + 60)


@pytest.mark.parametrize(
    ("known", "context", "at_s", "found", "more"),
    [
        ((None, None), ("de-DE", "Europe/Berlin"), NOON, ("de-DE", "Europe/Berlin"), True),
        (("en-GB", "Europe/London"), ("de-DE", None), NOON, ("de-DE", "Europe/London"), True),
        (("en-GB", "Europe/London"), (None, "Europe/Berlin"), NOON, ("en-GB", "Europe/Berlin"), True),
        (("en-GB", "Europe/London"), ("en-GB", "Europe/London"), NOON, ("en-GB", "Europe/London"), False),
        (("en-GB", "Europe/London"), ("de-DE", "Europe/Berlin"), NOON - 61, ("en-GB", "Europe/London"), False),  # late
        (("en-GB", "Europe/London"), ("de-DE", "Europe/Berlin"), NOON - 60, ("de-DE", "Europe/Berlin"), True),
        (
            (None, "Europe/London"),
            ("de-DE", "Europe/Berlin"),
            NOON - 61,
            ("de-DE", "Europe/London"),
            True,
        ),  # a late word is better than none, and moves nothing that is known
        (("en-GB", None), (None, "Mars/Olympus"), NOON, ("en-GB", None), False),
        ((None, None), ("x" * 300, None), NOON, ("x" * MAX_TEXT, None), True),
    ],
)
def test_locale_and_zone_are_those_of_the_newest_event(
    known: tuple[Any, Any], context: tuple[Any, Any], at_s: float, found: tuple[Any, Any], *, more: bool
) -> None:
    ana = Customer(locale=known[0], timezone=known[1], last_seen=NOON - 60, first_seen=NOON - 60)
    ana.see(Page, at_s, context=Context(locale=context[0], timezone=context[1]))
    assert (ana.profile.locale, ana.profile.timezone) == found
    assert ana.folded.more is more


@pytest.mark.parametrize(
    ("traits", "found"),
    [
        ({"locale": "de-DE", "timezone": "Europe/Berlin"}, ("de-DE", "Europe/Berlin")),
        ({"language": "de", "time_zone": "Europe/Berlin"}, ("de", "Europe/Berlin")),
        ({"locale": 7, "timezone": "Mars/Olympus"}, (None, None)),
        ({"timezone": 7}, (None, None)),
        ({"locale": "x" * 300}, ("x" * MAX_TEXT, None)),
    ],
)
def test_traits_tell_locale_and_zone_too(traits: dict[str, Any], found: tuple[Any, Any]) -> None:
    ana = Customer().see(Identify, traits=traits)
    assert (ana.profile.locale, ana.profile.timezone) == found


def test_a_trait_does_not_replace_the_locale_of_the_device() -> None:
    ana = Customer(locale="en-GB", timezone="Europe/London").see(
        Identify, traits={"locale": "de", "timezone": "Asia/Tokyo"}
    )
    assert (ana.profile.locale, ana.profile.timezone) == ("en-GB", "Asia/Tokyo")


# -- traits ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["identify", "context"])
def test_traits_are_kept_replaced_and_removed(kind: str) -> None:
    def told(ana: Customer, **traits: Any) -> Customer:
        if kind == "identify":
            return ana.see(Identify, traits=traits)
        return ana.see(Page, context=Context(traits=traits))

    ana = told(Customer(), plan="gold", seats=3)
    assert (ana.profile.traits, ana.folded.traits_changed, ana.folded.more) == (
        {"plan": "gold", "seats": 3},
        True,
        True,
    )
    assert told(ana, plan="gold").folded.traits_changed is False
    assert ana.folded.more is False
    assert told(ana, plan="silver").folded.traits_changed
    assert told(ana, seats=None).folded.traits_changed
    assert told(ana, seats=None).folded.traits_changed is False
    assert ana.profile.traits == {"plan": "silver"}
    assert told(ana, phone="+44 20 1234").profile.traits == {"plan": "silver"}
    assert told(ana, **{"n" * MAX_TEXT: 1}).folded.traits_changed
    assert told(ana, **{"n" * (MAX_TEXT + 1): 1}).folded.traits_changed is False


def test_the_traits_of_a_group_are_not_the_customers() -> None:
    assert Customer().see(Group, group_id="g", traits={"plan": "gold"}).profile.traits == {}


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("x" * 300, "x" * MAX_TEXT),
        (2**63, float(2**63)),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (-(2**63) - 1, float(-(2**63) - 1)),
        (2**1000, None),
        (2**1000 - 1, float(2**1000 - 1)),
        (["x" * 300] * 25, ["x" * MAX_TEXT] * 20),
        (True, True),
        (1.5, 1.5),
    ],
)
def test_values_are_bounded(value: Any, kept: Any) -> None:
    ana = Customer().see(Identify, traits={"t": value})
    assert ana.profile.traits["t"] == kept
    assert type(ana.profile.traits["t"]) is type(kept)
    msgspec.msgpack.encode(ana.profile)


def test_beyond_so_many_traits_new_ones_are_left_out_and_known_ones_renewed() -> None:
    ana = Customer().see(Identify, traits={f"t{number}": number for number in range(MAX_TRAITS)})
    ana.see(Identify, traits={"more": 1, "t0": 9})
    assert (len(ana.profile.traits), "more" in ana.profile.traits, ana.profile.traits["t0"]) == (MAX_TRAITS, False, 9)


def test_an_age_makes_room_for_itself() -> None:
    ana = Customer().see(Identify, traits={f"t{number}": number for number in range(MAX_TRAITS)})
    ana.see(Identify, traits={"age": 30})
    assert ana.profile.traits["age"] == 30
    assert f"t{MAX_TRAITS - 1}" not in ana.profile.traits
    ana.see(Identify, traits={"age": 31})
    assert (ana.profile.traits["age"], len(ana.profile.traits)) == (31, MAX_TRAITS)
    assert f"t{MAX_TRAITS - 2}" in ana.profile.traits


def test_of_two_ages_the_newer_holds_and_of_two_told_at_once_the_younger() -> None:
    def adult_at(*told: tuple[int, float]) -> float:
        ana = Customer()
        for age, at_s in told:
            ana.see(Identify, at_s, traits={"age": age})
        return ana.profile.adult_at["age"][1]

    young = adult_at((15, NOON))
    assert young > NOON
    assert adult_at((15, NOON), (40, NOON)) == adult_at((40, NOON), (15, NOON)) == young
    assert adult_at((15, NOON), (40, NOON + 1)) == adult_at((40, NOON + 1), (15, NOON)) == 0.0


def test_what_tells_no_age_is_noted_as_none() -> None:
    ana = Customer().see(Identify, traits={"age": "unknown"})
    assert (ana.profile.adult_at, ana.profile.traits) == ({}, {"age": "unknown"})


# -- visits ------------------------------------------------------------------------------------------------------------------


def test_a_visit_ends_after_half_an_hour_without_an_event() -> None:
    assert SESSION_GAP_S == 30 * 60
    ana = Customer().track("x", NOON).track("x", NOON + SESSION_GAP_S)
    assert (ana.profile.sessions, ana.profile.session and ana.profile.session.events) == (1, 2)
    ana.track("x", NOON + 2 * SESSION_GAP_S + 1)
    session = ana.profile.session
    assert session is not None
    assert (ana.profile.sessions, session.events, session.started_at) == (2, 1, NOON + 2 * SESSION_GAP_S + 1)
    assert session.session_id == str(int(session.started_at))


def test_the_shops_own_visits_hold() -> None:
    ana = Customer().track("x", NOON, session_id="s1").track("x", NOON + 2 * SESSION_GAP_S, session_id="s1")
    assert (ana.profile.sessions, ana.profile.session and ana.profile.session.events) == (1, 2)
    ana.see(Page, NOON + 2 * SESSION_GAP_S + 1, properties=Properties(session_id="s2"))
    assert (ana.profile.sessions, ana.profile.session and ana.profile.session.session_id) == (2, "s2")
    ana.track("x", NOON, session_id="s1")  # late: of a visit before
    assert (ana.profile.sessions, ana.profile.session and ana.profile.session.session_id) == (2, "s2")


def test_a_late_event_of_the_running_visit_does_not_bring_its_end_nearer() -> None:
    ana = Customer().track("x", NOON).track("x", NOON + 600).track("x", NOON + 300)
    session = ana.profile.session
    assert session is not None
    assert (session.last_at, session.events) == (NOON + 600, 3)


# -- interests and what was looked at ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "strength"), [("Product Viewed", 1.0), ("Product Added", 3.0), ("Order Completed", 5.0), ("Other", 0.0)]
)
def test_interest_grows_by_what_was_done(name: str, strength: float) -> None:
    ana = Customer().track(name, product_id="band", cart_id="c")
    found = {interest: decay.value(v, ana.profile.landmark, NOON) for interest, v in ana.profile.interests.items()}
    assert found == (pytest.approx(dict.fromkeys(("wearables", "Acme", "sports"), strength)) if strength else {})
    assert ana.folded.more == bool(strength)
    assert [product for _, product in ana.profile.recent] == (["band"] if strength else [])


def test_of_a_product_that_the_catalogue_lacks_the_event_tells() -> None:
    ana = Customer().track("Product Viewed", product_id="x", category="audio", brand="B" * 300)
    assert set(ana.profile.interests) == {"audio", "B" * MAX_NAME}
    of_catalogue = Customer().track("Product Viewed", product_id="band", category="audio")
    assert "audio" not in of_catalogue.profile.interests


def test_the_weakest_interest_leaves_first() -> None:
    ana = Customer().track("Order Completed", products=[Product(product_id="kept", category="kept")])
    for number in range(MAX_INTERESTS + 3):
        ana.track("Product Viewed", NOON + number, product_id=f"p{number}", category=f"c{number}")
    assert len(ana.profile.interests) == MAX_INTERESTS
    assert "kept" in ana.profile.interests
    assert "c0" not in ana.profile.interests


def test_recent_products_are_the_newest_each_once_whatever_order_they_come_in() -> None:
    looks = [("a", 0), ("b", 2), ("a", 3), ("c", 1), ("b", 1)]
    ana = Customer()
    for product, second in looks:
        ana.track("Product Viewed", NOON + second, product_id=product)
    assert ana.profile.recent == [(NOON + 1, "c"), (NOON + 2, "b"), (NOON + 3, "a")]
    for number in range(MAX_RECENT):
        ana.track("Product Viewed", NOON + 10 + number, product_id=f"p{number}")
    assert [product for _, product in ana.profile.recent] == [f"p{number}" for number in range(MAX_RECENT)]


def test_prices_looked_at_are_a_range_of_known_ones() -> None:
    ana = Customer()
    for price in (20.0, None, 0.0, -1.0, 50.0, 10.0, 1e13, 30.0):
        ana.track("Product Viewed", product_id="x", price=price)
    assert (ana.profile.price_min, ana.profile.price_max) == (10.0, 50.0)


# -- orders ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "revenue"),
    [
        ({"revenue": 10.0, "total": 12.0, "currency": "EUR"}, {"EUR": 10.0}),
        ({"total": 12.0, "currency": "eur"}, {"EUR": 12.0}),
        ({"revenue": 0.0, "total": 12.0, "currency": "EUR"}, {}),
        ({"total": 12.0}, {}),
        ({"total": -12.0, "currency": "EUR"}, {}),
        ({"currency": "EUR"}, {}),
        ({"total": 1.0, "currency": "EURO"}, {"EUR": 1.0}),
    ],
)
def test_what_an_order_is_worth(told: dict[str, Any], revenue: dict[str, float]) -> None:
    ana = Customer().track("Order Completed", order_id="o1", **told)
    assert (ana.profile.orders, ana.profile.revenue, ana.profile.last_order_at) == (1, revenue, NOON)


def test_orders_add_up_and_the_newest_is_the_last() -> None:
    ana = Customer()
    for number, at_s in enumerate((NOON, NOON - 60, NOON + 60, NOON + 30)):
        ana.track("Order Completed", at_s, order_id=f"o{number}", total=10.0, currency="EUR")
    assert (ana.profile.orders, ana.profile.revenue, ana.profile.last_order_at) == (4, {"EUR": 40.0}, NOON + 60)


def test_at_most_eight_currencies() -> None:
    ana = Customer()
    for number in range(10):
        ana.track("Order Completed", order_id=f"o{number}", total=1.0, currency=f"C{number}X")
    ana.track("Order Completed", order_id="again", total=1.0, currency="C0X")
    assert len(ana.profile.revenue) == 8
    assert ana.profile.revenue["C0X"] == 2.0


def test_an_order_that_is_told_again_counts_once() -> None:
    ana = Customer().track("Order Completed", order_id="o1", total=10.0, currency="EUR")
    ana.track("Order Completed", NOON + 60, order_id="o1", total=10.0, currency="EUR")
    assert (ana.profile.orders, ana.profile.revenue) == (1, {"EUR": 10.0})
    assert ana.folded.orders == []


def test_what_triggers_look_at_is_told() -> None:
    ana = Customer().track("Product Viewed", product_id="band")
    assert (ana.folded.products, len(ana.folded.visits), ana.folded.carts, ana.folded.orders) == (["band"], 1, [], [])
    ana.track("Product Added", NOON + 1, product_id="band", cart_id="c1")
    assert (ana.folded.carts, len(ana.folded.visits)) == (["c1"], 1)
    ana.track("Order Completed", NOON + 2, cart_id="c1", order_id="o1", products=[Product(product_id="band")])
    assert (ana.folded.carts, ana.folded.products, ana.folded.orders) == (["c1"], ["band"], ["o1"])
    assert ana.track("Order Cancelled", NOON + 3, order_id="o1").folded.orders == ["o1"]
    assert ana.track("Order Refunded", NOON + 3, order_id="o1").folded.orders == []
    assert ana.track("Other", NOON + 4).folded == Folded(counted="Other")


# -- consent -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Unsubscribed", "Email Unsubscribed", "Email Marked as Spam", "Consent Withdrawn"])
def test_events_that_say_no(name: str) -> None:
    ana = Customer().track("Consent Updated", channel="email", status="granted")
    ana.track(name, NOON + 1)
    assert not ana.profile.consent["email:marketing"].granted
    assert ana.profile.consent["email:marketing"].source == name
    assert "email:marketing" in {change.key for change in ana.folded.consent}


def test_a_word_from_a_clock_that_is_ahead_counts_from_now() -> None:
    ahead = {"event": "Consent Updated", "properties": Properties(channel="push", status="granted")}
    ana = Customer().see(Track, NOON + DAY, now_s=NOON, **ahead)
    assert ana.profile.consent["push:marketing"].captured_at == NOON
    late = Customer().see(Track, NOON - DAY, now_s=NOON, **ahead)
    assert late.profile.consent["push:marketing"].captured_at == NOON - DAY


def test_what_is_repeated_as_a_state_is_one_line_and_undoes_no_word_said_elsewhere() -> None:
    ana = Customer().see(Identify, traits={"push_subscribe": "opted_in"})
    assert [change.granted for change in ana.folded.consent] == [True]
    assert ana.see(Identify, NOON + 1, traits={"push_subscribe": "opted_in"}).folded.consent == []
    assert ana.profile.consent["push:marketing"].captured_at == NOON  # a yes is as old as its first word
    ana.see(Identify, NOON + 2, traits={"push_subscribe": "unsubscribed"})
    assert [change.granted for change in ana.folded.consent] == [False]
    assert ana.see(Identify, NOON + 3, traits={"push_subscribe": "unsubscribed"}).folded.consent == []
    assert ana.profile.consent["push:marketing"].captured_at == NOON + 3  # a no is as new as its last
    ana.see(Identify, NOON + 1, traits={"push_subscribe": "unsubscribed"})
    assert ana.profile.consent["push:marketing"].captured_at == NOON + 3
    ana.track("Consent Updated", NOON + 4, channel="push", status="unsubscribed")
    ana.see(Identify, NOON + 5, traits={"push_subscribe": "opted_in"})
    assert not ana.profile.consent["push:marketing"].granted, "a form's yes is older than what was said elsewhere"
    ana.track("Consent Updated", NOON + 6, channel="push", status="granted")
    ana.see(Identify, NOON + 7, traits={"push_subscribe": "unsubscribed"})
    assert not ana.profile.consent["push:marketing"].granted, "a no is heard wherever it is said"


def test_the_dialogue_of_the_shop_is_heard_on_any_event() -> None:
    rules = Rules(categories={"ads": ("push:marketing",)})
    ana = Profile(customer_id="u")
    event = Page(
        message_id="m",
        timestamp=instant(NOON),
        user_id="u",
        context=Context(consent=ConsentPreferences(category_preferences={"Ads": False})),
    )
    folded = fold(ana, event, NOON, SourceEvent("t", 0, 0), {}, now_s=NOON, rules=rules)
    assert [(change.key, change.granted) for change in folded.consent] == [("push:marketing", False)]
