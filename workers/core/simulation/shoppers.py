"""Simulates shoppers: personas who browse, fill carts, buy or leave, and give consent. For demos and tests.

Pure and seeded: the same seed gives the same shoppers doing the same things. Events are Segment JSON objects, as a shop would
send them. Responses to messages are in responses.py.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import lru_cache
from heapq import merge
from itertools import count
from typing import Any

import msgspec

from schemas.catalogue import CatalogueProduct
from schemas.events import CONSENT_UPDATED, ORDER_COMPLETED, PRODUCT_ADDED, PRODUCT_VIEWED
from workers.core.common.timestamps import instant

Event = dict[str, Any]
Planned = tuple[float, Event]

_CHINESE = (("zh-CN", "Asia/Shanghai"), ("zh-TW", "Asia/Taipei"), ("zh-CN", "Asia/Urumqi"))
_ENGLISH = (("en-US", "America/New_York"), ("en-GB", "Europe/London"))
#: One shopper in this many uses English, the embedded LLM's language: it needs at least two seconds per text.
_ENGLISH_EVERY = 15
#: Traits per kind of person; the playbook's conditions derive the target group from them.
_KINDS: dict[str, dict[str, Any]] = {
    "young": {"age": (18, 26), "occupation": "student", "interests": ["fashion", "music"]},
    "sports": {"age": (22, 50), "occupation": "coach", "interests": ["sports", "running"]},
    "business": {"age": (30, 58), "occupation": "manager", "interests": ["business", "travel"]},
}
KINDS = tuple(_KINDS)
_CHANNELS: tuple[tuple[str, ...], ...] = (("push",), ("email",), ("push", "email"), ("push", "email"), ("push",), ())
#: Share of visits by purpose: an abandoned cart, repeated views of one product, browsing, a purchase.
_VISITS = {"cart": 0.55, "repeat": 0.15, "browse": 0.12, "purchase": 0.18}
#: Share of shoppers who come back and buy regardless of messages.
_RETURNS = 0.08


class Persona(msgspec.Struct, frozen=True, kw_only=True):
    """One shopper. `kind` is one of KINDS, `visits` the number of visits, `pause_s` the mean time between two actions."""

    user_id: str
    kind: str
    locale: str
    timezone: str
    traits: dict[str, Any]
    favourites: list[str]
    consents: list[tuple[str, bool]]
    anonymous: bool
    visits: int
    pause_s: float

    def event(self, kind: str, message_id: str, at_s: float, **fields: Any) -> Event:
        """Returns one event of this shopper, as the shop sends it."""
        identity = {"anonymousId": f"anonymous-{self.user_id}"} if self.anonymous else {"userId": self.user_id}
        return {
            "type": kind,
            "messageId": message_id,
            **identity,
            "timestamp": instant(at_s).isoformat(),
            "context": {"locale": self.locale, "timezone": self.timezone},
            **fields,
        }

    def order(self, product: CatalogueProduct, cart_id: str, message_id: str, at_s: float) -> Event:
        """Returns the purchase of one product, which closes its cart."""
        properties = {
            "session_id": cart_id.removeprefix("cart-"),
            "cart_id": cart_id,
            "order_id": f"order-{message_id}",
            "currency": product.currency,
            "total": product.price,
            "products": [{**_fields(product), "quantity": 1}],
        }
        return self.event("track", message_id, at_s, event=ORDER_COMPLETED, properties=properties)


class Crowd:
    """An unlimited number of shoppers, by index, of both languages and all kinds; a few are anonymous, a few give no consent."""

    def __init__(self, products: dict[str, CatalogueProduct], seed: int, pause_s: float) -> None:
        self.products = products
        self.seed = seed
        self._pause_s = pause_s
        self._main = [key for key, product in products.items() if not product.accessory_of] or list(products)
        self.persona = lru_cache(maxsize=10_000)(self._persona)

    def of(self, user_id: str) -> Persona | None:
        """Returns the shopper with this id; None if it is not the id of a shopper."""
        name, _, number = user_id.rpartition("-")
        return self.persona(int(number)) if name == "shopper" and number.isdecimal() else None

    def _persona(self, index: int) -> Persona:
        rng = random.Random(f"{self.seed}/persona/{index}")
        kind = KINDS[index % len(KINDS)]
        row = index // len(KINDS)
        places = _ENGLISH if row % _ENGLISH_EVERY == 1 else _CHINESE
        locale, timezone = places[row // _ENGLISH_EVERY % len(places)]
        channels = rng.choice(_CHANNELS)
        about = _KINDS[kind]
        return Persona(
            user_id=f"shopper-{index:04d}",
            kind=kind,
            locale=locale,
            timezone=timezone,
            traits={
                "age": rng.randint(*about["age"]),
                "occupation": about["occupation"],
                "interests": about["interests"],
            },
            favourites=[rng.choice(self._main), rng.choice(list(self.products))],
            consents=[(channel, channel in channels) for channel in ("push", "email")],
            anonymous=rng.random() < 0.06,
            visits=rng.randint(2, 4),
            pause_s=self._pause_s * rng.uniform(0.5, 1.5),
        )


def behave(crowd: Crowd, number: int, start_s: float) -> Iterator[Planned]:
    """Yields the shoppers' events in chronological order, without end: (when [s since the epoch], event).

    `number` shoppers are active at any time: one who has finished their visits is replaced by a new one, so that frequency
    caps, which block further messages to the same customers, never block all messages.
    """
    return merge(*(_place(crowd, first, number, start_s) for first in range(number)), key=lambda planned: planned[0])


def _place(crowd: Crowd, first: int, step: int, start_s: float) -> Iterator[Planned]:
    """Yields the events of one slot in the shop, occupied by one shopper after another."""
    rng = random.Random(f"{crowd.seed}/place/{first}")
    at_s = start_s + rng.uniform(0.0, 40.0) * crowd.persona(first).pause_s
    for index in count(first, step):
        life = _Life(crowd, crowd.persona(index), at_s)
        yield from life.events()
        at_s = life.at_s


class _Life:
    """One shopper: identifies themselves, states their consent, then visits repeatedly. `at_s` is their current time."""

    def __init__(self, crowd: Crowd, persona: Persona, at_s: float) -> None:
        self.at_s = at_s
        self._products = crowd.products
        self._me = persona
        self._rng = random.Random(f"{crowd.seed}/life/{persona.user_id}")
        self._names = (f"{persona.user_id}-{int(at_s)}-{number}" for number in count())

    def events(self) -> Iterator[Planned]:
        """Yields everything this shopper does; the gap after a visit is long enough for messages about it."""
        me, rng = self._me, self._rng
        yield self._event("identify", traits=me.traits)
        for channel, granted in me.consents:
            status = "subscribed" if granted else "unsubscribed"
            properties = {"channel": channel, "purpose": "marketing", "status": status, "source": "demo"}
            yield self._event("track", event=CONSENT_UPDATED, properties=properties)
        for _ in range(me.visits):
            yield from self._visit(next(self._names))
            self.at_s += rng.uniform(25.0, 55.0) * me.pause_s

    def _visit(self, session_id: str) -> Iterator[Planned]:
        me, rng = self._me, self._rng
        purpose = rng.choices(list(_VISITS), list(_VISITS.values()))[0]
        product = self._products[me.favourites[0]]
        others = [self._products[rng.choice(me.favourites)] for _ in range(rng.randint(1, 2))]
        for seen in [product] * 3 if purpose == "repeat" else [*others, product]:
            yield self._event("track", event=PRODUCT_VIEWED, properties={"session_id": session_id, **_fields(seen)})
        cart_id = f"cart-{session_id}"
        if purpose in ("cart", "purchase"):
            basket = {"session_id": session_id, "cart_id": cart_id, **_fields(product), "quantity": 1}
            yield self._event("track", event=PRODUCT_ADDED, properties=basket)
        if purpose == "purchase":
            yield self._order(product, cart_id)
        elif rng.random() < _RETURNS:
            self.at_s += rng.uniform(10.0, 14.0) * me.pause_s
            yield self._order(product, cart_id)

    def _order(self, product: CatalogueProduct, cart_id: str) -> Planned:
        self._wait()
        return self.at_s, self._me.order(product, cart_id, next(self._names), self.at_s)

    def _event(self, kind: str, **fields: Any) -> Planned:
        self._wait()
        return self.at_s, self._me.event(kind, next(self._names), self.at_s, **fields)

    def _wait(self) -> None:
        self.at_s += self._rng.expovariate(1 / self._me.pause_s)


def _fields(product: CatalogueProduct) -> dict[str, Any]:
    return {
        "product_id": product.product_id,
        "category": product.category,
        "brand": product.brand,
        "price": product.price,
        "currency": product.currency,
    }
