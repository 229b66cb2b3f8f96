"""Defines customer.profiles (the public view), customer.merges and customer.insights."""

from __future__ import annotations

from typing import Literal

import msgspec

from schemas.base import FIRST_VERSION, Identifier, Instant, TraitValue, Wire, always


class ConsentView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A customer's consent for one `channel:purpose`: since when, and to which text."""

    granted: bool
    captured_at: Instant
    source: str = ""
    text_version: str = ""


class CartLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One product in a cart; `price` is per unit, None = unknown."""

    product_id: str
    quantity: int
    price: float | None = None


class CartView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One open cart."""

    cart_id: str
    opened_at: Instant
    updated_at: Instant
    items: list[CartLine] = []
    currency: str | None = None


class Features(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Features derived from a customer's behaviour.

    `counts` are exact, since the first event; `decayed` and `interests` are exponentially decayed (half-life in
    docs/profile.md), as of `last_seen`. `interests` contains categories, brands and tags. Revenue is per currency.
    """

    events: int = 0
    counts: dict[str, int] = {}
    decayed: dict[str, float] = {}
    interests: dict[str, float] = {}
    recent_products: list[str] = []
    carts: list[CartView] = []
    orders: int = 0
    revenue: dict[str, float] = {}
    first_seen: Instant | None = None
    last_seen: Instant | None = None
    last_order_at: Instant | None = None
    price_min: float | None = None
    price_max: float | None = None
    preferred_hour: int | None = None
    sessions: int = 0
    messages_sent: int = 0


class ProfileView(Wire, frozen=True, kw_only=True):
    """customer.profiles: the newest public state of one customer. A null value means that the customer was erased."""

    customer_id: Identifier
    user_id: str | None = None
    anonymous_ids: list[str] = []
    traits: dict[str, TraitValue] = {}
    locale: str | None = None
    timezone: str | None = None
    target_group: str | None = None
    segments: list[str] = []
    consent: dict[str, ConsentView] = {}
    features: Features = Features()
    insights: dict[str, TraitValue] = {}
    profile_version: int = 0
    playbook_version: str = ""
    updated_at: Instant
    schema_version: int = always(FIRST_VERSION)


class ProfileMerge(Wire, frozen=True, kw_only=True):
    """customer.merges: a profile's state, sent to the partition of the customer that it is merged into.

    `state` is the encoded profile of `from_id` (msgpack, base64 on the wire); applying it twice changes nothing.
    """

    merge_id: Identifier
    from_id: Identifier
    to_id: Identifier
    reason: Literal["identify", "alias"]
    state: bytes = b""
    merged_at: Instant
    schema_version: int = always(FIRST_VERSION)


class SourceText(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The position of the text that an insight was derived from (never the text itself)."""

    topic: str
    partition: int
    offset: int
    event_id: str = ""


class Insight(Wire, frozen=True, kw_only=True):
    """customer.insights: information about a customer from text or dialogue, with the model that extracted it."""

    insight_id: Identifier
    user_id: Identifier
    kind: Literal["sentiment", "aspect", "need", "preference", "topic", "intent", "language"]
    value: str
    score: float = 1.0
    product_id: str | None = None
    evidence: SourceText | None = None
    model: str = ""
    observed_at: Instant
    expires_at: Instant | None = None
    schema_version: int = always(FIRST_VERSION)
