"""Keeps a customer's product views: runs of views of one product, and the current visit."""

from __future__ import annotations

from schemas.base import SourceEvent
from schemas.events import Properties
from workers.core.profile.carts import known_price, products_of
from workers.core.profile.model import (
    MAX_CURRENCY,
    MAX_TEXT,
    MAX_VIEWED,
    MAX_VIEWS,
    CartLine,
    ProductViews,
    Profile,
    Visit,
)

#: After this long without a view of a product, the next view begins a new run [s].
RUN_GAP_S = 7 * 86_400.0


def fold(profile: Profile, properties: Properties, at_s: float, source: SourceEvent) -> tuple[list[str], list[str]]:
    """Applies a view of one or more products. Returns the ids of the products and of the visits that changed."""
    products, visits = [], []
    for product in products_of(properties)[:MAX_VIEWED]:
        product_id = product.product_id[:MAX_TEXT]
        views = profile.looked.get(product_id)
        if views is None or _ended(profile, views, at_s):
            line = CartLine(product_id, added_at=at_s)
            views = profile.looked[product_id] = ProductViews(at_s, [], line)
        views.at = sorted([*views.at, at_s])[-MAX_VIEWS:]
        if at_s >= views.at[-1]:
            line = views.line
            line.added_at = at_s
            line.price = product.price if known_price(product.price) else line.price
            line.name = (product.name or line.name)[:MAX_TEXT]
            line.category = (product.category or line.category)[:MAX_TEXT]
            line.brand = (product.brand or line.brand)[:MAX_TEXT]
            line.url = (product.url or line.url)[:MAX_TEXT]
            line.image_url = (product.image_url or line.image_url)[:MAX_TEXT]
            views.currency = (properties.currency or "")[:MAX_CURRENCY] or views.currency
            views.source = source
        products.append(product_id)
        visits.extend(_visit(profile, product_id, at_s))
    while len(profile.looked) > MAX_VIEWED:
        oldest = min(profile.looked, key=lambda product_id: profile.looked[product_id].at[-1])
        del profile.looked[oldest]
        products.append(oldest)
    return products, list(dict.fromkeys(visits))


def mark_carted(profile: Profile, at_s: float) -> list[str]:
    """Marks the current visit as carted: something went into a cart, or was bought. Returns the ids of changed visits."""
    visit = profile.visit
    if visit is None or visit.carted or at_s < visit.started_at or not _is_running(profile, visit):
        return []
    visit.carted = True
    return [visit.visit_id]


def viewed(profile: Profile) -> list[str]:
    """Returns the viewed products: after an order, triggers must check them again."""
    return list(profile.looked)


def _ended(profile: Profile, views: ProductViews, at_s: float) -> bool:
    """Returns whether a view at `at_s` begins a new run. A late view belongs to the existing run."""
    last = views.at[-1]
    return at_s > last and (at_s - last > RUN_GAP_S or last < (profile.last_order_at or 0.0) <= at_s)


def _visit(profile: Profile, product_id: str, at_s: float) -> list[str]:
    session, visit = profile.session, profile.visit
    if session is None or at_s < session.started_at:
        return []  # late: it belongs to an earlier visit
    changed = []
    if visit is None or not _is_running(profile, visit):
        if visit is not None:
            changed.append(visit.visit_id)
        visit = profile.visit = Visit(session.session_id, session.started_at, at_s)
    if product_id in visit.looks or len(visit.looks) < MAX_VIEWED:
        visit.looks[product_id] = visit.looks.get(product_id, 0) + 1
    visit.last_look_at = max(visit.last_look_at, at_s)
    return [*changed, visit.visit_id]


def _is_running(profile: Profile, visit: Visit) -> bool:
    session = profile.session
    return session is not None and (session.session_id, session.started_at) == (visit.visit_id, visit.started_at)
