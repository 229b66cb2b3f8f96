"""Keeps a customer's recent orders."""

from __future__ import annotations

from schemas.base import SourceEvent
from schemas.events import Properties
from workers.core.common.ids import event_hash
from workers.core.profile.carts import products_of
from workers.core.profile.model import MAX_BOUGHT, MAX_ORDERED, MAX_PURCHASES, MAX_TEXT, Profile, Purchase, remember


def first_reported_at(profile: Profile, properties: Properties) -> float | None:
    """Returns when the order with this id was first reported [s since the epoch]; None = it is new, or has no id.

    Confirmation pages are reloaded, and two trackers may report one order: the first report counts.
    """
    if not properties.order_id:
        return None
    known = profile.purchases.get(properties.order_id[:MAX_TEXT])
    return profile.ordered.get(event_hash(properties.order_id), known.at if known is not None else None)


def move_earlier(profile: Profile, order_id: str, at_s: float) -> None:
    """Moves a known order to `at_s` if that is earlier: the earliest time counts, whatever the order of arrival."""
    digest = event_hash(order_id)
    if at_s >= profile.ordered.get(digest, at_s):
        return
    was_last = profile.last_order_at == profile.ordered[digest]
    profile.ordered[digest] = at_s
    if (purchase := profile.purchases.get(order_id[:MAX_TEXT])) is not None:
        purchase.at = at_s
    if was_last:
        profile.last_order_at = max([*profile.ordered.values(), *(known.at for known in profile.purchases.values())])


def fold(profile: Profile, properties: Properties, at_s: float, source: SourceEvent) -> list[str]:
    """Applies a new order (see `first_reported_at`). Returns the ids of the orders that changed."""
    order_id = (properties.order_id or f"@{round(at_s * 1000)}")[:MAX_TEXT]
    if order_id in profile.purchases:
        return []
    if properties.order_id:
        remember(profile.ordered, event_hash(properties.order_id), at_s, MAX_ORDERED)
    products = [product.product_id[:MAX_TEXT] for product in products_of(properties)][:MAX_BOUGHT]
    profile.purchases[order_id] = Purchase(at_s, products, source)
    changed = [order_id]
    while len(profile.purchases) > MAX_PURCHASES:
        oldest = min(profile.purchases, key=lambda known: profile.purchases[known].at)
        del profile.purchases[oldest]
        changed.append(oldest)
    return changed


def remove(profile: Profile, properties: Properties) -> list[str]:
    """Removes a cancelled or refunded order, which ends its cross-selling. Returns its id if it was known."""
    order_id = (properties.order_id or "")[:MAX_TEXT]
    return [order_id] if profile.purchases.pop(order_id, None) is not None else []


def bought_since(profile: Profile, product_id: str, since_s: float) -> bool:
    """Returns whether the customer has bought this product at or after `since_s`."""
    return any(purchase.at >= since_s and product_id in purchase.product_ids for purchase in profile.purchases.values())
