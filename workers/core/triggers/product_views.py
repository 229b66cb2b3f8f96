"""Implements the triggers repeat_view, keyed by product, and browse_abandonment, keyed by visit."""

from __future__ import annotations

from collections.abc import Callable

from workers.core.playbook.campaigns import BrowseAbandonment, Campaign, RepeatView, Trigger
from workers.core.profile.model import OpenRequest, ProductViews, Profile, Visit
from workers.core.triggers.base import Objection, Occurrence, occurrence_id


class RepeatViews:
    """One product viewed repeatedly."""

    def due_at(self, profile: Profile, trigger: Trigger, key: str) -> float | None:
        """See Kind."""
        views = profile.looked.get(key)
        if views is None or not isinstance(trigger, RepeatView):
            return None
        since_s = views.at[-1] - trigger.within_s
        if sum(at_s >= since_s for at_s in views.at) < trigger.views or _has_ordered(profile, views.at[-1]):
            return None
        return views.at[-1] + trigger.delay_s

    def occurrence_id(self, profile: Profile, key: str) -> str:
        """See Kind. One run of views is one occurrence, however long it lasts."""
        return occurrence_id(key, profile.looked[key].opened_at)

    def keys(self, profile: Profile) -> list[str]:
        """See Kind."""
        return list(profile.looked)

    def occurrence(self, profile: Profile, campaign: Campaign, key: str, due_at_s: float) -> Occurrence | None:
        """See Kind. A product in a cart is left to cart_abandonment."""
        if _in_cart(profile, key):
            return None
        return _about(profile.looked[key], campaign, key, self.occurrence_id(profile, key), due_at_s)

    def objection(self, profile: Profile, opened: OpenRequest) -> Objection | None:
        """See Kind."""
        return _overtaken(profile, opened)


class Visits:
    """A visit that ended without a cart. `may_mention`: whether a message may be about a product."""

    def __init__(self, may_mention: Callable[[str], bool]) -> None:
        self._may_mention = may_mention

    def due_at(self, profile: Profile, trigger: Trigger, key: str) -> float | None:
        """See Kind."""
        visit = profile.visit
        if visit is None or visit.visit_id != key or visit.carted or not isinstance(trigger, BrowseAbandonment):
            return None
        if sum(visit.looks.values()) < trigger.views or _has_ordered(profile, visit.started_at):
            return None
        return visit.last_look_at + trigger.delay_s

    def occurrence_id(self, profile: Profile, key: str) -> str:
        """See Kind."""
        return occurrence_id(key, profile.visit.started_at if profile.visit is not None else 0.0)

    def keys(self, profile: Profile) -> list[str]:
        """See Kind."""
        return [] if profile.visit is None else [profile.visit.visit_id]

    def occurrence(self, profile: Profile, campaign: Campaign, key: str, due_at_s: float) -> Occurrence | None:
        """See Kind. The product is the most viewed, then the last viewed, preferring those that a message may be about."""
        visit = profile.visit
        viewed = [] if visit is None else [product_id for product_id in visit.looks if product_id in profile.looked]
        free = [product_id for product_id in viewed if not _in_cart(profile, product_id)]
        if visit is None or not free:
            return None
        best = max(free, key=lambda product_id: (self._may_mention(product_id), *_weight(profile, visit, product_id)))
        return _about(profile.looked[best], campaign, key, self.occurrence_id(profile, key), due_at_s)

    def objection(self, profile: Profile, opened: OpenRequest) -> Objection | None:
        """See Kind."""
        return _overtaken(profile, opened)


def _weight(profile: Profile, visit: Visit, product_id: str) -> tuple[int, float, str]:
    return visit.looks[product_id], profile.looked[product_id].at[-1], product_id


def _about(views: ProductViews, campaign: Campaign, key: str, occurrence: str, due_at_s: float) -> Occurrence:
    return Occurrence(
        campaign=campaign,
        key=key,
        occurrence_id=occurrence,
        due_at_s=due_at_s,
        line=views.line,
        currency=views.currency,
        source=views.source,
    )


def _has_ordered(profile: Profile, since_s: float) -> bool:
    """Returns whether the customer has ordered since then, so that the views led to a purchase."""
    return profile.last_order_at is not None and profile.last_order_at >= since_s


def _in_cart(profile: Profile, product_id: str) -> bool:
    return any(product_id in cart.lines for cart in profile.carts.values())


def _overtaken(profile: Profile, opened: OpenRequest) -> Objection | None:
    if _has_ordered(profile, opened.requested_at):
        return "converted", "the customer has since bought something"
    if _in_cart(profile, opened.product.product_id):
        return "converted", "the product has since been added to the cart"
    return None
