"""Implements the trigger cart_abandonment, keyed by cart."""

from __future__ import annotations

from collections.abc import Callable

from workers.core.playbook.campaigns import Campaign, CartAbandonment, Trigger
from workers.core.profile.model import Cart, CartLine, OpenRequest, Profile
from workers.core.profile.orders import bought_since
from workers.core.triggers.base import Objection, Occurrence, occurrence_id


class Carts:
    """A cart that has not changed for a while. `may_mention`: whether a message may be about a product."""

    def __init__(self, may_mention: Callable[[str], bool]) -> None:
        self._may_mention = may_mention

    def due_at(self, profile: Profile, trigger: Trigger, key: str) -> float | None:
        """See Kind."""
        cart = profile.carts.get(key)
        return None if cart is None else cart.updated_at + trigger.delay_s

    def occurrence_id(self, profile: Profile, key: str) -> str:
        """See Kind. A cart that was bought and filled again is a different occurrence."""
        return occurrence_id(key, profile.carts[key].opened_at)

    def keys(self, profile: Profile) -> list[str]:
        """See Kind."""
        return list(profile.carts)

    def occurrence(self, profile: Profile, campaign: Campaign, key: str, due_at_s: float) -> Occurrence | None:
        """See Kind. Products bought in another order are not worth a reminder."""
        trigger, cart = campaign.trigger, profile.carts[key]
        if isinstance(trigger, CartAbandonment) and trigger.min_value is not None and cart.value < trigger.min_value:
            return None
        left = [line for line in cart.lines.values() if not bought_since(profile, line.product_id, line.added_at)]
        return Occurrence(
            campaign=campaign,
            key=key,
            occurrence_id=self.occurrence_id(profile, key),
            due_at_s=due_at_s,
            line=self._leading_line(left or list(cart.lines.values())),
            currency=cart.currency,
            source=cart.source,
            objection=None if left else ("converted", "the products in the cart were bought in another order"),
        )

    def objection(self, profile: Profile, opened: OpenRequest) -> Objection | None:
        """See Kind."""
        cart = profile.carts.get(opened.trigger_key)
        if cart is None or occurrence_id(opened.trigger_key, cart.opened_at) != opened.occurrence_id:
            return "converted", "the cart has since been bought or emptied"
        if _was_bought(profile, cart, opened.product.product_id):
            return "converted", "the product has since been bought in another order"
        return None

    def _leading_line(self, lines: list[CartLine]) -> CartLine:
        """Returns the product of the message: among those it may be about, the most valuable, then the newest, then by id."""

        def rank(line: CartLine) -> tuple[bool, float, float, str]:
            return self._may_mention(line.product_id), line.price or 0.0, line.added_at, line.product_id

        return max(lines, key=rank)


def _was_bought(profile: Profile, cart: Cart, product_id: str) -> bool:
    line = cart.lines.get(product_id)
    return bought_since(profile, product_id, cart.opened_at if line is None else line.added_at)
