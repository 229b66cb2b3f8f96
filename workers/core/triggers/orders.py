"""Implements the trigger cross_sell, keyed by order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from schemas.catalogue import CatalogueProduct
from workers.core.playbook.campaigns import Campaign, CrossSell, Trigger
from workers.core.profile.model import CartLine, OpenRequest, Profile, Purchase
from workers.core.profile.orders import bought_since
from workers.core.triggers.base import Objection, Occurrence, occurrence_id


class Purchases:
    """A product that complements a purchase. `may_mention`: whether a message may be about a product."""

    def __init__(self, products: Mapping[str, CatalogueProduct], may_mention: Callable[[str], bool]) -> None:
        self._may_mention = may_mention
        self._accessories: dict[str, list[CatalogueProduct]] = {}
        for product in products.values():
            for other in product.accessory_of:
                self._accessories.setdefault(other, []).append(product)

    def due_at(self, profile: Profile, trigger: Trigger, key: str) -> float | None:
        """See Kind."""
        purchase = profile.purchases.get(key)
        return None if purchase is None else purchase.at + trigger.delay_s

    def occurrence_id(self, profile: Profile, key: str) -> str:
        """See Kind."""
        return occurrence_id(key, profile.purchases[key].at)

    def keys(self, profile: Profile) -> list[str]:
        """See Kind."""
        return list(profile.purchases)

    def occurrence(self, profile: Profile, campaign: Campaign, key: str, due_at_s: float) -> Occurrence | None:
        """See Kind. It is about the first offer that was not bought and is in no cart."""
        purchase = profile.purchases[key]
        taken = {product_id for other in profile.purchases.values() for product_id in other.product_ids}
        taken |= {product_id for cart in profile.carts.values() for product_id in cart.lines}
        for line, currency in self._offers(profile, purchase, campaign.trigger):
            if line.product_id not in taken:
                return Occurrence(
                    campaign=campaign,
                    key=key,
                    occurrence_id=self.occurrence_id(profile, key),
                    due_at_s=due_at_s,
                    line=line,
                    currency=currency,
                    source=purchase.source,
                )
        return None

    def objection(self, profile: Profile, opened: OpenRequest) -> Objection | None:
        """See Kind."""
        if opened.trigger_key not in profile.purchases:
            return "stale", "the order has since been cancelled or refunded"
        if bought_since(profile, opened.product.product_id, opened.requested_at):
            return "converted", "the product has since been bought"
        return None

    def _offers(self, profile: Profile, purchase: Purchase, trigger: Trigger) -> Iterator[tuple[CartLine, str | None]]:
        """Yields possible offers, best first: accessories in catalogue order, viewed products newest first."""
        sources = trigger.offer if isinstance(trigger, CrossSell) else []
        for source in sources:
            if source == "accessories":
                for product_id in purchase.product_ids:
                    for product in self._accessories.get(product_id, []):
                        yield CartLine(product.product_id, price=product.price), product.currency
            else:
                newest = sorted(profile.looked.values(), key=lambda views: (views.at[-1], views.line.product_id))
                for views in reversed(newest):
                    if self._may_mention(views.line.product_id):
                        yield views.line, views.currency
