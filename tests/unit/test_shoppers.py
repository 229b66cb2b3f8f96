"""The simulated shoppers: everybody is there, everything that triggers a campaign happens, and the seed decides all."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import islice, takewhile
from typing import Any

from schemas import codec
from tests.support.playbooks import playbook
from workers.core.simulation.shoppers import KINDS, Crowd, behave

PRODUCTS = playbook().products
NOW_S = 1_790_000_000.0


def two_minutes(seed: int = 7, number: int = 300) -> list[tuple[float, dict[str, Any]]]:
    visits = behave(Crowd(PRODUCTS, seed, 1.0), number, NOW_S)
    return list(takewhile(lambda planned: planned[0] < NOW_S + 120, visits))


def test_the_seed_decides_everything() -> None:
    assert two_minutes() == two_minutes()
    assert two_minutes(seed=8) != two_minutes()


def test_events_come_in_the_order_of_time_and_decode() -> None:
    planned = two_minutes()
    assert [at_s for at_s, _ in planned] == sorted(at_s for at_s, _ in planned)
    for at_s, event in planned:
        assert abs(codec.decode_event(codec.encode(event)).timestamp.timestamp() - at_s) < 1e-3
    ids = [event["messageId"] for _, event in planned]
    assert len(set(ids)) == len(ids)


def test_all_kinds_languages_and_consents_are_about() -> None:
    crowd = Crowd(PRODUCTS, 7, 1.0)
    people = [crowd.persona(index) for index in range(300)]
    assert Counter(person.kind for person in people) == dict.fromkeys(KINDS, 100)
    locales = Counter(person.locale for person in people)
    assert locales.keys() == {"zh-CN", "zh-TW", "en-US", "en-GB"}
    assert locales["en-US"] + locales["en-GB"] == 21
    assert 5 <= sum(person.anonymous for person in people) <= 40
    assert {sum(granted for _, granted in person.consents) for person in people} == {0, 1, 2}


def test_a_shopper_is_found_by_name() -> None:
    crowd = Crowd(PRODUCTS, 7, 1.0)
    assert crowd.of("shopper-0042") == crowd.persona(42) == Crowd(PRODUCTS, 7, 1.0).persona(42)
    assert crowd.of("ana") is None
    assert crowd.of("anonymous-shopper-0042") is None


def test_two_minutes_hold_what_every_trigger_needs() -> None:
    looks: dict[tuple[str, str], int] = Counter()
    visits: dict[str, set[str]] = defaultdict(set)
    for _, event in two_minutes():
        who, properties = event.get("userId"), event.get("properties", {})
        if who is None or "session_id" not in properties:
            continue
        visits[properties["session_id"]].add(event["event"])
        if event["event"] == "Product Viewed":
            looks[properties["session_id"], properties["product_id"]] += 1
    assert sum("Product Added" in seen and "Order Completed" not in seen for seen in visits.values()) > 200
    assert sum(seen == {"Product Viewed"} for seen in visits.values()) > 50
    assert sum("Order Completed" in seen for seen in visits.values()) > 50
    assert sum(number >= 3 for number in looks.values()) > 50


def test_some_come_back_and_buy_without_any_message() -> None:
    last_s: dict[str, float] = {}
    pauses = []
    for at_s, event in two_minutes():
        cart_id = event.get("properties", {}).get("cart_id")
        if cart_id and event["event"] == "Order Completed":
            pauses.append(at_s - last_s.get(cart_id, at_s))
        elif cart_id:
            last_s[cart_id] = at_s
    assert sum(pause > 4.0 for pause in pauses) > 10


def test_who_has_come_often_enough_is_followed_by_somebody_new() -> None:
    visits = behave(Crowd(PRODUCTS, 7, 1.0), 3, NOW_S)
    people = {event.get("userId") or event["anonymousId"] for _, event in islice(visits, 500)}
    assert len(people) > 20
