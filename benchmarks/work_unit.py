"""Defines the work unit that every program of the benchmark applies to an event, and an oracle with the expected result.

One event (about 170 bytes of JSON, key = customer) changes that customer's profile: decayed counts per type, the time last
seen, the last 20 products, the cart of the current session. Depends on msgspec only, so that peers can import it too.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping

import msgspec

#: Time after which a count is worth 1/e [s].
TAU_S = 3600.0
MAX_RECENT = 20
START_S = 1_700_000_000.0
#: Event time between two events, over all customers [s].
STEP_S = 0.02
SESSION_S = 1800.0
PRODUCTS = 500
TYPES = ["page_view"] * 60 + ["product_view"] * 25 + ["add_to_cart"] * 9 + ["remove_from_cart"] * 2 + ["purchase"] * 4


class Product(msgspec.Struct):
    """The product of an event."""

    id: str
    price: float = 0.0
    category: str = ""


class Event(msgspec.Struct):
    """One event as in the topic (JSON). `ts` never decreases for one customer."""

    event_id: str
    customer_id: str
    type: str
    ts: float
    session_id: str
    channel: str = "web"
    product: Product | None = None


class Needed(msgspec.Struct):
    """The fields that a typed decoder reads of an event: those that change a profile."""

    customer_id: str
    type: str
    ts: float
    session_id: str
    product: Product | None = None


class Profile(msgspec.Struct):
    """The state of one customer."""

    events: int = 0
    last_seen: float = 0.0
    session_id: str = ""
    counts: dict[str, float] = {}
    recent: list[str] = []
    cart: dict[str, int] = {}


decode_event = msgspec.json.Decoder(Needed).decode
decode_profile = msgspec.msgpack.Decoder(Profile).decode
encode_profile = msgspec.msgpack.Encoder().encode


def customers_of(number: int, customers: int, visits: int, rng: random.Random) -> Iterator[int]:
    """Yields the customer of each event. With `visits`, this many visits are active at a time, each with ten events on average,
    and the customer of each new visit is drawn from all; with 0, the customer of every event is drawn from all.
    """
    active = [rng.randrange(customers) for _ in range(visits)]
    for _ in range(number):
        if not active:
            yield rng.randrange(customers)
            continue
        place = rng.randrange(visits)
        yield active[place]
        if rng.random() < 0.1:
            active[place] = rng.randrange(customers)


def make_events(
    number: int, customers: int, seed: int = 7, start_s: float = START_S, visits: int = 0
) -> Iterator[Event]:
    """Yields events, the same for the same arguments (see `customers_of`); a session lasts at most half an hour."""
    rng = random.Random(seed)
    for index, customer in enumerate(customers_of(number, customers, visits, rng)):
        kind, ts = rng.choice(TYPES), start_s + index * STEP_S
        product = None if kind == "page_view" else Product(f"p{rng.randrange(PRODUCTS)}", 19.9, "wearable")
        session = f"s{customer}-{int(ts // SESSION_S)}"
        yield Event(f"e{index}", f"c{customer}", kind, ts, session, product=product)


def update(profile: Profile, event: Needed) -> None:
    """Applies one event in place; shared by the programs with typed decoding."""
    counts = profile.counts
    if profile.events and (gap_s := event.ts - profile.last_seen) > 0:
        factor = math.exp(-gap_s / TAU_S)
        for kind in counts:
            counts[kind] *= factor
    profile.events += 1
    counts[event.type] = counts.get(event.type, 0.0) + 1.0
    profile.last_seen = event.ts
    if event.session_id != profile.session_id:
        profile.session_id = event.session_id
        profile.cart = {}
    product = event.product
    if product is not None:
        recent = profile.recent
        recent.append(product.id)
        if len(recent) > MAX_RECENT:
            del recent[0]
        if event.type == "add_to_cart":
            profile.cart[product.id] = profile.cart.get(product.id, 0) + 1
        elif event.type == "remove_from_cart":
            profile.cart.pop(product.id, None)
    if event.type == "purchase":
        profile.cart = {}


def oracle(events: Iterable[Event]) -> dict[str, Profile]:
    """Returns the expected profile of every customer, computed from all its events at once, without the code of any program."""
    histories: dict[str, list[Event]] = {}
    for event in events:
        histories.setdefault(event.customer_id, []).append(event)
    return {customer: _profile_of(history) for customer, history in histories.items()}


def _profile_of(history: list[Event]) -> Profile:
    last = history[-1]
    counts: dict[str, float] = {}
    for event in history:  # a count decays by exp(-dt / tau), so each event still counts by its age
        counts[event.type] = counts.get(event.type, 0.0) + math.exp((event.ts - last.ts) / TAU_S)
    cart: dict[str, int] = {}
    for event in history:
        if event.session_id != last.session_id or event.product is None:
            continue
        if event.type == "add_to_cart":
            cart[event.product.id] = cart.get(event.product.id, 0) + 1
        elif event.type == "remove_from_cart":
            cart.pop(event.product.id, None)
        elif event.type == "purchase":
            cart.clear()
    recent = [event.product.id for event in history if event.product is not None][-MAX_RECENT:]
    return Profile(len(history), last.ts, last.session_id, counts, recent, cart)


def differences(found: Mapping[str, Profile], right: Mapping[str, Profile], limit: int = 3) -> list[str]:
    """Returns the differences of a program's final state, customer by customer, at most `limit` lines; [] = it matches.

    >>> differences({"c1": Profile(events=2)}, {"c1": Profile(events=1)})
    ['c1: events is 2, expected 1']
    """
    wrong = [f"{len(found)} customers, expected {len(right)}"] if len(found) != len(right) else []
    for customer, expected in right.items():
        if len(wrong) >= limit:
            break
        profile = found.get(customer)
        wrong.extend(_differ(customer, profile, expected) if profile is not None else [f"{customer} is missing"])
    return wrong[:limit]


def _differ(customer: str, found: Profile, right: Profile) -> Iterator[str]:
    for field in ("events", "last_seen", "session_id", "recent", "cart"):
        if getattr(found, field) != getattr(right, field):
            yield f"{customer}: {field} is {getattr(found, field)}, expected {getattr(right, field)}"
    # Rounding differs between a running product and one exponential, and between Java's and C's exp.
    if found.counts.keys() != right.counts.keys() or any(
        not math.isclose(found.counts[kind], count, rel_tol=1e-9) for kind, count in right.counts.items()
    ):
        yield f"{customer}: counts are {found.counts}, expected {right.counts}"
