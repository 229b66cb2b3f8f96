"""Models one customer from the events, without any code of the product.

Events are applied in the order in which their lane reads them. Times are seconds since the epoch.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

NEVER = float("-inf")


PERSONAL = "personalisation"


def consent_topic(about: dict[str, Any]) -> str:
    """Returns the subject of a consent statement: a channel, "" = all channels, or PERSONAL."""
    return PERSONAL if about.get("purpose") == PERSONAL else str(about.get("channel", ""))


class Statements:
    """The consent statements of a customer: to marketing on each channel ("" = all channels), and to personalisation."""

    def __init__(self) -> None:
        self._newest: dict[str, tuple[float, bool]] = {}

    def record(self, channel: str, at_s: float, *, yes: bool) -> None:
        """Records a statement: the newest counts, whatever the order; of two with the same time, the opt-out."""
        known_s, known_yes = self._newest.get(channel, (NEVER, True))
        if at_s > known_s or (at_s == known_s and known_yes and not yes):
            self._newest[channel] = (at_s, yes)

    def allow(self, channel: str) -> bool:
        """Returns whether marketing is allowed; without a statement it is not."""
        stated_s, yes = self._newest.get(channel, (NEVER, False))
        return yes and stated_s > self._newest.get("", (NEVER, False))[0]

    @property
    def refuse_personal(self) -> bool:
        """True if personalisation is refused."""
        return not self._newest.get(PERSONAL, (NEVER, True))[1]


class Cart:
    """An open cart: product → the time at which it was last added."""

    def __init__(self, at_s: float) -> None:
        self.opened_s = self.updated_s = at_s
        self.lines: dict[str, float] = {}


class Person:
    """One customer, as far as the events describe them."""

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.events = 0
        self.counts: Counter[str] = Counter()
        self.carts: dict[str, Cart] = {}
        self.closed_s: dict[str, float] = {}
        self.orders: dict[str, float] = {}
        self.bought: dict[str, tuple[float, set[str]]] = {}
        self.statements = Statements()
        self.zone = ""
        self.last_s = NEVER

    def apply(self, event: dict[str, Any], at_s: float, appended_s: float) -> bool:
        """Applies one event; returns False if it is a duplicate."""
        if event["messageId"] in self.known:
            return False
        self.known.add(event["messageId"])
        self.events += 1
        name, about = event["event"], event.get("properties", {})
        self.counts[name] += 1
        if at_s >= self.last_s:
            self.zone, self.last_s = event["context"]["timezone"], at_s
        if name == "Product Added":
            self._put(about["cart_id"], about["product_id"], at_s)
        elif name == "Order Completed":
            self._buy(about, at_s)
        elif name == "Consent Updated":
            self.statements.record(consent_topic(about), min(at_s, appended_s), yes=about["status"] == "subscribed")
        return True

    def _put(self, cart_id: str, product: str, at_s: float) -> None:
        if at_s < self.closed_s.get(cart_id, 0.0):
            return
        cart = self.carts.setdefault(cart_id, Cart(at_s))
        cart.lines[product] = max(at_s, cart.lines.get(product, at_s))
        cart.updated_s = max(cart.updated_s, at_s)

    def _buy(self, about: dict[str, Any], at_s: float) -> None:
        order = about["order_id"]
        first_s = self.orders.get(order)
        self.orders[order] = at_s if first_s is None else min(first_s, at_s)
        if first_s is None:
            self.bought[order] = (at_s, {line["product_id"] for line in about["products"]})
        else:
            self.bought[order] = (self.orders[order], self.bought[order][1])
        self._close(about["cart_id"], self.orders[order])

    def _close(self, cart_id: str, at_s: float) -> None:
        self.closed_s[cart_id] = max(at_s, self.closed_s.get(cart_id, at_s))
        cart = self.carts.get(cart_id)
        if cart is None:
            return
        left = {product: added_s for product, added_s in cart.lines.items() if added_s > at_s}
        if len(left) < len(cart.lines):
            cart.lines, cart.opened_s = left, max(cart.opened_s, at_s)
        if not left:
            del self.carts[cart_id]

    def expected_profile(self) -> dict[str, Any]:
        """Returns the expected content of the profile."""
        return {
            "events": self.events,
            "counts": dict(self.counts),
            "orders": len(self.orders),
            "carts": {
                cart_id: (cart.opened_s, cart.updated_s, dict(sorted(cart.lines.items())))
                for cart_id, cart in sorted(self.carts.items())
            },
            "allowed": [channel for channel in ("push", "email") if self.statements.allow(channel)],
        }
