"""Builds the public view of a profile, published on customer.profiles."""

from __future__ import annotations

from schemas.profiles import CartLine, CartView, ConsentView, Features, ProfileView
from workers.core.common.timestamps import instant
from workers.core.profile import decay
from workers.core.profile.model import Profile

#: Changes in counters alone are published at most this often [s].
VIEW_INTERVAL_S = 60.0


def profile_view(profile: Profile, playbook_version: str, now_s: float) -> ProfileView:
    """Returns the view as of `now_s`; decayed values are as of `last_seen`."""
    return ProfileView(
        customer_id=profile.customer_id,
        user_id=profile.user_id,
        anonymous_ids=profile.anonymous_ids,
        traits=profile.traits,
        locale=profile.locale,
        timezone=profile.timezone,
        target_group=profile.target_group,
        segments=profile.segments,
        consent={
            key: ConsentView(
                granted=consent.granted,
                captured_at=instant(consent.captured_at),
                source=consent.source,
                text_version=consent.text_version,
            )
            for key, consent in profile.consent.items()
        },
        features=_features(profile),
        profile_version=profile.version,
        playbook_version=playbook_version,
        updated_at=instant(now_s),
    )


def _features(profile: Profile) -> Features:
    def shown(counters: dict[str, float]) -> dict[str, float]:
        return {
            name: round(decay.value(amount, profile.landmark, profile.last_seen), 6)
            for name, amount in counters.items()
        }

    return Features(
        events=profile.events,
        counts=profile.counts,
        decayed=shown(profile.decayed),
        interests=shown(profile.interests),
        recent_products=[product_id for _, product_id in reversed(profile.recent)],
        carts=[
            CartView(
                cart_id=cart_id,
                opened_at=instant(cart.opened_at),
                updated_at=instant(cart.updated_at),
                items=[
                    CartLine(product_id=line.product_id, quantity=line.quantity, price=line.price)
                    for line in cart.lines.values()
                ],
                currency=cart.currency,
            )
            for cart_id, cart in profile.carts.items()
        ],
        orders=profile.orders,
        revenue=profile.revenue,
        first_seen=instant(profile.first_seen) if profile.events else None,
        last_seen=instant(profile.last_seen) if profile.events else None,
        last_order_at=instant(profile.last_order_at) if profile.last_order_at is not None else None,
        price_min=profile.price_min,
        price_max=profile.price_max,
        preferred_hour=max(profile.hours, key=lambda hour: (profile.hours[hour], -hour)) if profile.hours else None,
        sessions=profile.sessions,
        messages_sent=profile.sent,
    )
