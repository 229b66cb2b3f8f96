"""What a customer has bought lately, order by order."""

from __future__ import annotations

from schemas.base import SourceEvent
from schemas.events import Properties
from workers.core.carts import products_of
from workers.core.profile import MAX_BOUGHT, MAX_PURCHASES, MAX_TEXT, Profile, Purchase


def fold(profile: Profile, properties: Properties, at_s: float, source: SourceEvent) -> list[str]:
    """Applies an order. Returns the ids of the orders that changed; one that is told twice stays as it was first told."""
    order_id = (properties.order_id or f"@{round(at_s * 1000)}")[:MAX_TEXT]
    if order_id in profile.purchases:
        return []
    products = [product.product_id[:MAX_TEXT] for product in products_of(properties)][:MAX_BOUGHT]
    profile.purchases[order_id] = Purchase(at_s, products, source)
    changed = [order_id]
    while len(profile.purchases) > MAX_PURCHASES:
        oldest = min(profile.purchases, key=lambda known: profile.purchases[known].at)
        del profile.purchases[oldest]
        changed.append(oldest)
    return changed


def undone(profile: Profile, properties: Properties) -> list[str]:
    """An order was cancelled or refunded: nothing goes with it any more. Returns its id if it is known."""
    order_id = (properties.order_id or "")[:MAX_TEXT]
    return [order_id] if profile.purchases.pop(order_id, None) is not None else []


def bought_since(profile: Profile, product_id: str, since_s: float) -> bool:
    """Whether the customer has bought this product at or after `since_s`."""
    return any(purchase.at >= since_s and product_id in purchase.product_ids for purchase in profile.purchases.values())
