"""Defines the state of one customer, as stored in RocksDB and in the changelog (msgpack).

Times are seconds since the epoch, UTC. Every collection is bounded, so that no customer's record exceeds its size limit; the
bounds are the constants below. Evolution: fields are only added, with defaults (docs/evolution.md).

These structs are trees without cycles: `gc=False` keeps tens of thousands of cached profiles out of the garbage collector.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from schemas.base import SourceEvent, TraitValue
from schemas.messages import Candidate, MessageText, ProductFacts, Reviewed

MAX_NAMES = 64
MAX_INTERESTS = 64
MAX_RECENT = 20
MAX_CARTS = 10
MAX_CART_LINES = 30
MAX_CLOSED_CARTS = 20
MAX_TRAITS = 64
MAX_TEXT = 256
MAX_NAME = 100
MAX_CURRENCY = 8
MAX_ANONYMOUS_IDS = 10
#: Decided occurrences that are remembered; those that could recur are kept beyond this bound.
MAX_DONE = 50
MAX_CONSENT_HISTORY = 100
MAX_VIEWED = 10
MAX_VIEWS = 20
MAX_PURCHASES = 10
MAX_BOUGHT = 20
#: Orders that are recognised when they are reported again.
MAX_ORDERED = 32
#: Published messages that can still be cancelled; beyond this bound only the newest.
MAX_PUBLISHED = 10
#: Texts whose near-duplicate sketch is kept (core.text.near_duplicates).
MAX_SKETCHES = 5
#: Further event names are counted under this one once there are MAX_NAMES.
OTHER_NAMES = "(other)"


class CartLine(msgspec.Struct, array_like=True, gc=False):
    """One product in a cart. `price` per unit, None = unknown."""

    product_id: str
    quantity: int = 1
    price: float | None = None
    name: str = ""
    category: str = ""
    brand: str = ""
    url: str = ""
    image_url: str = ""
    added_at: float = 0.0


class Cart(msgspec.Struct, array_like=True, gc=False):
    """One open cart."""

    opened_at: float
    updated_at: float
    lines: dict[str, CartLine] = {}
    currency: str | None = None
    source: SourceEvent | None = None

    @property
    def value(self) -> float:
        """The sum of the known prices."""
        return sum(line.price * line.quantity for line in self.lines.values() if line.price is not None)


class ProductViews(msgspec.Struct, array_like=True, gc=False):
    """The views of one product, with its details as of the last view. `opened_at` identifies the run: a purchase, or a week
    without a view, begins another. `at` holds the newest MAX_VIEWS views, oldest first.
    """

    opened_at: float
    at: list[float]
    line: CartLine
    currency: str | None = None
    source: SourceEvent | None = None


class Visit(msgspec.Struct, array_like=True, gc=False):
    """The products viewed in the current visit. `carted`: one of them went into a cart, or was bought."""

    visit_id: str
    started_at: float
    last_look_at: float
    looks: dict[str, int] = {}
    carted: bool = False


class Purchase(msgspec.Struct, array_like=True, gc=False):
    """One order, for cross-selling. `product_ids` holds at most MAX_BOUGHT."""

    at: float
    product_ids: list[str]
    source: SourceEvent | None = None


class Session(msgspec.Struct, array_like=True, gc=False):
    """The current session. `session_id` is the shop's, else the time at which it began."""

    session_id: str
    started_at: float
    last_at: float
    events: int = 0


class Consent(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The customer's newest statement on one `channel:purpose`, or on `personalisation`."""

    granted: bool
    captured_at: float
    source: str = ""
    text_version: str = ""


class CapReservation(msgspec.Struct, array_like=True, gc=False):
    """One message that counts against the caps: reserved at the decision, kept when published, removed when discarded or
    not delivered. `kind` is `message`, `holdout` (a virtual send: it counts like a real one), or `shadow` (it counts only
    against other shadow decisions).
    """

    message_id: str
    at: float
    channel: str
    category: str
    kind: str = "message"


class PendingText(msgspec.Struct, array_like=True, gc=False):
    """A finished text that waits for a verdict (`reviewed` is still ""), then for publication (core.personalisation.requests),
    until everything the customer did is known and the quiet hours are over.

    `candidate` None = a template, of `template_version`. `released`: no review is needed.
    """

    text: MessageText
    candidate: Candidate | None = None
    template_version: str = ""
    reviewed: Reviewed = ""
    released: bool = False

    @property
    def is_in_review(self) -> bool:
        """True while a verdict is awaited; otherwise the text only waits for publication."""
        return self.candidate is not None and not self.reviewed and not self.released


class OpenRequest(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A text that was requested and has been neither published nor discarded.

    It is never published if its campaign is in `shadow` mode or its customer is `held_out`. State written by older versions has
    `message_id` only as the key of Profile.open: `decode` adds it.
    """

    message_id: str = ""
    decision_id: str
    campaign_id: str
    occurrence_id: str
    channel: str
    trigger_key: str = ""
    locale: str
    language: str
    target_group: str
    personalised: bool = True
    product: ProductFacts
    requested_at: float
    deadline_at: float
    expires_at: float
    propensity: float = 1.0
    variation_id: str | None = None
    experiment_id: str | None = None
    prompt: str = ""
    tone: str | None = None
    shadow: bool = False
    held_out: bool = False
    source: SourceEvent | None = None
    held: PendingText | None = None

    @property
    def is_ghost(self) -> bool:
        """True if the text is generated for inspection only."""
        return self.shadow or self.held_out


class Published(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A published message that its sender may not have delivered yet: the data needed to cancel it."""

    campaign_id: str
    occurrence_id: str
    trigger_key: str
    product_id: str
    channel: str
    category: str
    personalised: bool
    requested_at: float
    expires_at: float


class Profile(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """One customer: the hot record.

    `adult_at`: for the newest `age` and `birthday`, when it was stated and when the customer comes of age according to it; it
    outlives the traits. `looked`, `purchases` and `carts` are keyed by product, order and cart id. `unreachable`: channels
    whose address bounced, and when. `published`: message_id → a message that may not be delivered yet. `ordered`: hashes of
    the newest order ids, with the earliest time reported for each. `counts` are exact; `decayed` and `interests` are
    forward-decayed sums with the landmark `landmark` (core.profile.decay). `seen` maps an hour of event time to the hashes of
    the message ids in it (core.profile.dedupe).
    """

    customer_id: str
    user_id: str | None = None
    anonymous_ids: list[str] = []
    traits: dict[str, TraitValue] = {}
    adult_at: dict[str, tuple[float, float]] = {}
    locale: str | None = None
    timezone: str | None = None

    version: int = 0
    events: int = 0
    counts: dict[str, int] = {}
    landmark: float = 0.0
    decayed: dict[str, float] = {}
    interests: dict[str, float] = {}
    first_seen: float = 0.0
    last_seen: float = 0.0
    hours: dict[int, int] = {}
    recent: list[tuple[float, str]] = []
    price_min: float | None = None
    price_max: float | None = None
    session: Session | None = None
    sessions: int = 0

    carts: dict[str, Cart] = {}
    closed_carts: dict[str, float] = {}
    looked: dict[str, ProductViews] = {}
    visit: Visit | None = None
    purchases: dict[str, Purchase] = {}
    ordered: dict[int, float] = {}
    orders: int = 0
    revenue: dict[str, float] = {}
    last_order_at: float | None = None

    consent: dict[str, Consent] = {}
    unreachable: dict[str, float] = {}
    target_group: str | None = None
    segments: list[str] = []

    sends: list[CapReservation] = []
    sent: int = 0
    sketches: list[list[int]] = []
    open: dict[str, OpenRequest] = {}
    published: dict[str, Published] = {}
    done: dict[str, float] = {}
    timers: dict[str, float] = {}
    viewed_at: float = 0.0

    seen: dict[int, list[int]] = {}
    spilled: list[int] = []


class ConsentChange(msgspec.Struct, array_like=True, frozen=True):
    """One line of the consent history."""

    key: str
    granted: bool
    captured_at: float
    source: str = ""
    text_version: str = ""


class ColdProfile(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Rarely needed data, in a separate record that is written only when it changes."""

    consent_history: list[ConsentChange] = []


encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Profile).decode
decode_cold = msgspec.msgpack.Decoder(ColdProfile).decode


def decode(stored: bytes) -> Profile:
    """Returns a stored profile. Raises msgspec.DecodeError."""
    profile = _decode(stored)
    for message_id, request in profile.open.items():
        request.message_id = message_id
    return profile


K = TypeVar("K")


def remember(mapping: dict[K, float], key: K, at: float, limit: int) -> None:
    """Stores `key` with its time; evicts the oldest beyond `limit`."""
    mapping[key] = at
    while len(mapping) > limit:
        del mapping[min(mapping, key=mapping.__getitem__)]
