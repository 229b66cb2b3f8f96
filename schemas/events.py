"""Defines customer.events: the actions of customers, in the terms of the Segment spec.

Field names are the spec's own (camelCase at the top, snake_case in e-commerce properties). Source: the Segment
Spec (Track, Identify, Page, Screen, Alias, Group) and its V2 E-Commerce Events. `Consent Updated` and
`Social Post Published` are Attune's own.
"""

from __future__ import annotations

import msgspec

from schemas.base import FIRST_VERSION, Identifier, Instant, PersonId, TraitValue, Wire


class Product(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One product line of an event. `price` is per unit, in the event's `currency`; None = unknown."""

    product_id: Identifier
    sku: str | None = None
    name: str | None = None
    category: str | None = None
    brand: str | None = None
    variant: str | None = None
    price: float | None = None
    quantity: int | None = None
    coupon: str | None = None
    position: int | None = None
    url: str | None = None
    image_url: str | None = None


class Properties(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The properties that Attune uses; others stay on the topic and are ignored when read.

    An event about one product carries its fields directly, an event about several carries `products`: None = not stated,
    [] = no products, as in an emptied cart. A `quantity` of 0 means none of this product.
    """

    product_id: str | None = None
    sku: str | None = None
    name: str | None = None
    category: str | None = None
    brand: str | None = None
    variant: str | None = None
    price: float | None = None
    quantity: int | None = None
    coupon: str | None = None
    position: int | None = None
    url: str | None = None
    image_url: str | None = None
    currency: str | None = None
    products: list[Product] | None = None

    cart_id: str | None = None
    checkout_id: str | None = None
    order_id: str | None = None
    subtotal: float | None = None
    total: float | None = None
    revenue: float | None = None
    shipping: float | None = None
    tax: float | None = None
    discount: float | None = None
    query: str | None = None
    session_id: str | None = None

    # Product Reviewed, Social Post Published, Live Chat *
    review_id: str | None = None
    review_body: str | None = None
    rating: float | None = None
    post_id: str | None = None
    body: str | None = None
    conversation_id: str | None = None
    message_id: str | None = None
    message_body: str | None = None
    agent_id: str | None = None

    # Consent Updated: channel `email`, `push` ... and purpose `marketing`; or purpose `personalisation` alone
    channel: str | None = None
    purpose: str | None = None
    status: str | None = None
    source: str | None = None
    text_version: str | None = None
    captured_at: Instant | None = None


class Campaign(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The campaign that brought the customer (context.campaign)."""

    name: str | None = None
    source: str | None = None
    medium: str | None = None
    term: str | None = None
    content: str | None = None


class ConsentPreferences(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """The customer's choices in a consent dialogue (context.consent): true or false for each of the shop's consent categories."""

    category_preferences: dict[str, bool] | None = None


class Context(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The context of an event. `locale` is BCP 47 (zh-CN), `timezone` an IANA name (Asia/Shanghai)."""

    locale: str | None = None
    timezone: str | None = None
    campaign: Campaign | None = None
    traits: dict[str, TraitValue] = {}
    consent: ConsentPreferences | None = None


class Event(Wire, frozen=True, kw_only=True, rename="camel", tag_field="type"):
    """The fields of every event. At least one of `userId` and `anonymousId` is set (checked by `codec.decode_event`)."""

    message_id: Identifier
    timestamp: Instant
    user_id: PersonId | None = None
    anonymous_id: PersonId | None = None
    context: Context = Context()
    sent_at: Instant | None = None
    received_at: Instant | None = None
    schema_version: int = FIRST_VERSION

    @property
    def customer_id(self) -> str:
        """The key of the customer: userId, otherwise anonymousId."""
        return self.user_id or self.anonymous_id or ""


class Track(Event, frozen=True, kw_only=True, tag="track"):
    """An action of a customer, by name: `Product Viewed`, `Order Completed`, or any name that the shop defines."""

    event: Identifier
    properties: Properties = Properties()


class Identify(Event, frozen=True, kw_only=True, tag="identify"):
    """The identity of a customer: traits, and the userId that belongs to an anonymousId."""

    traits: dict[str, TraitValue] = {}


class Page(Event, frozen=True, kw_only=True, tag="page"):
    """A view of a page of the web shop."""

    name: str | None = None
    category: str | None = None
    properties: Properties = Properties()


class Screen(Event, frozen=True, kw_only=True, tag="screen"):
    """A view of a screen of the app."""

    name: str | None = None
    category: str | None = None
    properties: Properties = Properties()


class Alias(Event, frozen=True, kw_only=True, tag="alias"):
    """A statement that `previousId` and `userId` are the same person."""

    previous_id: Identifier


class Group(Event, frozen=True, kw_only=True, tag="group"):
    """A statement that the customer belongs to a company or household."""

    group_id: Identifier
    traits: dict[str, TraitValue] = {}


AnyEvent = Track | Identify | Page | Screen | Alias | Group

# Event names of the Segment spec that the profile does more with than count.
PRODUCT_VIEWED = "Product Viewed"
PRODUCT_ADDED = "Product Added"
PRODUCT_REMOVED = "Product Removed"
CART_VIEWED = "Cart Viewed"
CHECKOUT_STARTED = "Checkout Started"
ORDER_COMPLETED = "Order Completed"
ORDER_REFUNDED = "Order Refunded"
ORDER_CANCELLED = "Order Cancelled"
PRODUCTS_SEARCHED = "Products Searched"
PRODUCT_REVIEWED = "Product Reviewed"
LIVE_CHAT_MESSAGE_SENT = "Live Chat Message Sent"
CONSENT_UPDATED = "Consent Updated"
#: Opt-out events of e-mail programs and consent platforms: event → the channel that it ends, "" = all channels.
OPT_OUT_EVENTS = {
    "Unsubscribed": "email",
    "Email Unsubscribed": "email",
    "Email Marked as Spam": "",
    "Consent Withdrawn": "",
    "Consent Revoked": "",
}
SEGMENT_CONSENT_UPDATED = "Segment Consent Preference Updated"
SOCIAL_POST_PUBLISHED = "Social Post Published"
