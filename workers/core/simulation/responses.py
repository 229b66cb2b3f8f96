"""Simulates how shoppers respond to messages, by hidden preferences that the system should learn. For demos and tests.

Pure: everything follows from the seed and the message's id. The preferences are far stronger than real ones, so that two minutes
show what takes weeks in a shop.
"""

from __future__ import annotations

from schemas.catalogue import CatalogueProduct
from schemas.messages import Feedback, FeedbackStatus, Message
from workers.core.common.timestamps import instant
from workers.core.experimentation.sampling import uniform
from workers.core.simulation.shoppers import Event, Persona

#: (seconds from now, what happens then: feedback of a sender or an event of the shopper)
Answer = tuple[float, Feedback | Event]

#: Preference of each kind of person for the variant and the tone of an arm: 1 = best. Each kind has a different best arm.
_TASTES: dict[str, dict[str, float]] = {
    "young": {"brisk": 1.0, "warm": 0.25, "question": 1.0, "plain": 0.5, "base": 0.9},
    "sports": {"brisk": 1.0, "warm": 0.4, "question": 0.35, "plain": 1.0, "base": 0.9},
    "business": {"brisk": 0.2, "warm": 1.0, "question": 1.0, "plain": 0.6, "base": 0.9},
}
#: How close to a purchase people are when a campaign reaches them.
_NEARNESS = {"cart-abandonment": 1.0, "repeat-view": 0.9, "browse-abandonment": 0.75, "cross-sell": 0.85}
_CHANNELS = {"push": 1.0, "email": 0.9}
_MACHINE_OPENS = 0.15  # for e-mail: mail scanners open messages before people do


def appeal(kind: str, campaign_id: str, channel: str, arm: str, seed: int = 0) -> float:
    """Returns how well a message suits a kind of person, 0 to 1. For a name without a preference it is drawn from a hash.

    >>> appeal("young", "cart-abandonment", "push", "question.brisk")
    1.0
    >>> appeal("business", "cart-abandonment", "push", "question.brisk")
    0.2
    """
    liked = 1.0
    for name in arm.split("."):
        known = _TASTES.get(kind, {}).get(name)
        liked *= 0.2 + 0.8 * uniform(str(seed), kind, name) if known is None else known
    return liked * _NEARNESS.get(campaign_id, 0.8) * _CHANNELS.get(channel, 0.8)


def answer(
    message: Message, persona: Persona, product: CatalogueProduct | None, cart_id: str, seed: int, now_s: float
) -> list[Answer]:
    """Returns the responses to a message, in chronological order, all within about six seconds.

    `product` is the message's product (None = no longer for sale), `cart_id` the cart that its purchase would close.
    """
    suits = appeal(persona.kind, message.campaign_id, message.channel, message.variation_id or "", seed)
    at_s = 0.0
    answers: list[Answer] = []

    def happens(name: str, chance: float) -> bool:
        return uniform(str(seed), message.message_id, name) < chance

    def later(name: str, least_s: float, most_s: float) -> float:
        return at_s + least_s + (most_s - least_s) * uniform(str(seed), message.message_id, name, "when")

    def feedback(status: FeedbackStatus, name: str = "", **fields: object) -> None:
        known = Feedback(
            event_id=f"{message.message_id}-{name or status}",
            message_id=message.message_id,
            user_id=message.user_id,
            channel=message.channel,
            status=status,
            timestamp=instant(now_s + at_s),
            **fields,  # type: ignore[arg-type] # by name
        )
        answers.append((at_s, known))

    at_s = later("sent", 0.02, 0.2)
    feedback("sent")
    at_s = later("delivered", 0.05, 0.3)
    if happens("bounced", 0.01):
        feedback("bounced", bounce_type="hard" if happens("hard", 0.3) else "soft", bounce_reason="no such mailbox")
        return answers
    feedback("delivered")
    if message.channel == "email" and happens("machine", _MACHINE_OPENS):
        at_s = later("machine", 0.01, 0.1)
        feedback("opened", "machine-opened", machine_opened=True)
    if not happens("opened", 0.35 + 0.6 * suits):
        return answers
    at_s = later("opened", 0.3, 1.5)
    feedback("opened")
    if happens("annoyed", 0.09 * (1.0 - suits)):
        at_s = later("annoyed", 0.3, 1.0)
        feedback("complained" if happens("complained", 0.15) else "unsubscribed")
        return answers
    if not happens("clicked", 0.1 + 0.8 * suits):
        return answers
    at_s = later("clicked", 0.2, 1.0)
    feedback("clicked", link_url=message.cta.link_url or None)
    if product is not None and happens("bought", 0.05 + 0.75 * suits):
        at_s = later("bought", 0.5, 2.0)
        answers.append((at_s, persona.order(product, cart_id, f"{message.message_id}-order", now_s + at_s)))
    return answers


class Carts:
    """Tracks the cart in which a shopper would buy a product, and which carts are bought: none is bought twice."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], str] = {}
        self._bought: set[str] = set()

    def of(self, user_id: str, product_id: str, otherwise: str) -> str:
        """Returns the newest cart, or visit without a cart, in which this shopper saw the product."""
        return self._open.get((user_id, product_id), otherwise)

    def happens(self, event: Event) -> bool:
        """Records an event that is about to happen; False = the purchase of a cart already bought, which must be dropped."""
        properties = event.get("properties", {})
        match event.get("event"):
            case "Product Viewed" | "Product Added":
                key = event.get("userId", ""), properties["product_id"]
                self._open[key] = properties.get("cart_id") or f"cart-{properties['session_id']}"
            case "Order Completed":
                cart_id = properties["cart_id"]
                if cart_id in self._bought:
                    return False
                self._bought.add(cart_id)
                for line in properties["products"]:
                    self._open.pop((event.get("userId", ""), line["product_id"]), None)
        return True
