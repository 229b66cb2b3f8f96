"""Simulated shoppers: personas who look, fill carts, buy or leave, and say what they allow. For demos and tests.

Pure and seeded: the same seed gives the same shoppers doing the same things. Events are Segment JSON objects, as a shop
would send them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from heapq import merge
from itertools import count
from typing import Any

import msgspec

from schemas.catalogue import CatalogueProduct
from workers.core.fold import instant

Event = dict[str, Any]
Emit = Callable[..., tuple[float, Event]]

_PLACES = (
    ("zh-CN", "Asia/Shanghai"),
    ("en-US", "America/New_York"),
    ("en-GB", "Europe/London"),
    ("zh-CN", "Asia/Taipei"),
)
#: What people say of themselves, per kind of person; the playbook's rules find the target group in it.
_KINDS: tuple[dict[str, Any], ...] = (
    {"age": (18, 26), "occupation": "student", "interests": ["fashion", "music"]},
    {"age": (22, 50), "occupation": "coach", "interests": ["sports", "running"]},
    {"age": (30, 58), "occupation": "manager", "interests": ["business", "travel"]},
)


class Persona(msgspec.Struct, frozen=True, kw_only=True):
    """One shopper. Probabilities are per session; `pause_s` is the mean time between two things they do."""

    user_id: str
    locale: str
    timezone: str
    traits: dict[str, Any]
    favourites: list[str]
    consents: list[tuple[str, bool]]
    anonymous: bool
    adds: float
    buys: float
    pause_s: float


def personas(number: int, products: dict[str, CatalogueProduct], seed: int, pause_s: float) -> list[Persona]:
    """`number` shoppers over both languages and all kinds of people; a few are anonymous, a few allow nothing."""
    rng = random.Random(seed)
    main = [product_id for product_id, product in products.items() if not product.accessory_of] or list(products)
    people = []
    for index in range(number):
        kind = _KINDS[index % len(_KINDS)]
        locale, timezone = _PLACES[(index // len(_KINDS)) % len(_PLACES)]
        favourite = main[(index // 2) % len(main)]
        channels = rng.choice([("push",), ("email",), ("push", "email"), ("push", "email"), ("push",), ()])
        people.append(
            Persona(
                user_id=f"shopper-{index:04d}",
                locale=locale,
                timezone=timezone,
                traits={
                    "age": rng.randint(*kind["age"]),
                    "occupation": kind["occupation"],
                    "interests": kind["interests"],
                },
                favourites=[favourite, rng.choice(list(products))],
                consents=[(channel, channel in channels) for channel in ("push", "email")],
                anonymous=rng.random() < 0.08,
                adds=rng.uniform(0.5, 0.9),
                buys=rng.uniform(0.1, 0.5),
                pause_s=pause_s * rng.uniform(0.5, 1.5),
            )
        )
    return people


def behave(
    people: list[Persona], products: dict[str, CatalogueProduct], seed: int, start_s: float
) -> Iterator[tuple[float, Event]]:
    """What they do, in the order of time, without end: (when [s since the epoch], event)."""
    lives = [_life(person, products, random.Random(f"{seed}/{person.user_id}"), start_s) for person in people]
    return merge(*lives, key=lambda planned: planned[0])


def _life(
    person: Persona, products: dict[str, CatalogueProduct], rng: random.Random, start_s: float
) -> Iterator[tuple[float, Event]]:
    """One shopper: says who they are and what they allow, then comes again and again."""
    at_s = start_s + rng.uniform(0.0, person.pause_s * 4)
    numbers = count()

    def event(kind: str, **fields: Any) -> tuple[float, Event]:
        nonlocal at_s
        at_s += rng.expovariate(1 / person.pause_s)
        identity = {"anonymousId": f"anonymous-{person.user_id}"} if person.anonymous else {"userId": person.user_id}
        return at_s, {
            "type": kind,
            "messageId": f"{person.user_id}-{int(start_s)}-{next(numbers)}",
            **identity,
            "timestamp": instant(at_s).isoformat(),
            "context": {"locale": person.locale, "timezone": person.timezone},
            **fields,
        }

    yield event("identify", traits=person.traits)
    for channel, granted in person.consents:
        status = "subscribed" if granted else "unsubscribed"
        properties = {"channel": channel, "purpose": "marketing", "status": status, "source": "demo"}
        yield event("track", event="Consent Updated", properties=properties)
    for session in count():
        yield from _session(person, products, rng, event, f"{person.user_id}-{int(start_s)}-s{session}")
        at_s += rng.uniform(10.0, 40.0) * person.pause_s


def _session(
    person: Persona, products: dict[str, CatalogueProduct], rng: random.Random, event: Emit, session_id: str
) -> Iterator[tuple[float, Event]]:
    """One visit: some looking around, perhaps a cart, perhaps an order."""
    cart_id = f"cart-{session_id}"
    for _ in range(rng.randint(1, 4)):
        product = products[rng.choice(person.favourites)]
        yield event("track", event="Product Viewed", properties={"session_id": session_id, **_product(product)})
    if rng.random() > person.adds:
        return
    product = products[person.favourites[0]]
    basket = {"session_id": session_id, "cart_id": cart_id}
    yield event("track", event="Product Added", properties={**basket, **_product(product), "quantity": 1})
    if rng.random() > person.buys:
        return
    order = {
        **basket,
        "order_id": f"order-{session_id}",
        "currency": product.currency,
        "total": product.price,
        "products": [{**_product(product), "quantity": 1}],
    }
    yield event("track", event="Order Completed", properties=order)


def _product(product: CatalogueProduct) -> dict[str, Any]:
    return {
        "product_id": product.product_id,
        "category": product.category,
        "brand": product.brand,
        "price": product.price,
        "currency": product.currency,
    }
