"""Keeps a profile within its size limit by dropping its least valuable parts first."""

from __future__ import annotations

from workers.core.profile.ages import is_age_trait
from workers.core.profile.model import (
    MAX_CLOSED_CARTS,
    MAX_DONE,
    MAX_INTERESTS,
    MAX_NAMES,
    MAX_PUBLISHED,
    MAX_RECENT,
    MAX_TRAITS,
    Consent,
    Profile,
    encode,
)

#: Maximum size of the hot record [bytes].
MAX_BYTES = 32 * 1024
#: Maximum number of opt-ins kept by the last eviction step: no real customer has more.
MAX_ALLOWED = 16


def encode_bounded(profile: Profile) -> bytes:
    """Encodes the hot record in at most MAX_BYTES, not counting open requests. Drops the least valuable parts, never opt-outs."""
    encoded = encode(profile)
    for evict in _EVICTIONS:
        if len(encoded) <= MAX_BYTES:
            break
        evict(profile)
        encoded = encode(profile)
    return encoded


def _evict_cart_texts(profile: Profile) -> None:
    lines = [line for cart in profile.carts.values() for line in cart.lines.values()]
    for line in [*lines, *(views.line for views in profile.looked.values())]:
        line.url = line.image_url = ""


def _evict_old_carts(profile: Profile) -> None:
    newest = max(profile.carts, key=lambda cart_id: profile.carts[cart_id].updated_at, default=None)
    profile.carts = {cart_id: cart for cart_id, cart in profile.carts.items() if cart_id == newest}


def _evict_traits(profile: Profile) -> None:
    by_size = sorted(profile.traits, key=lambda name: (not is_age_trait(name), len(encode(profile.traits[name]))))
    profile.traits = {name: profile.traits[name] for name in by_size[: MAX_TRAITS // 4]}


def _evict_interests(profile: Profile) -> None:
    kept = sorted(profile.interests, key=profile.interests.__getitem__, reverse=True)[: MAX_INTERESTS // 4]
    profile.interests = {name: profile.interests[name] for name in kept}
    profile.recent = profile.recent[-MAX_RECENT // 4 :]
    newest_views = sorted(profile.looked, key=lambda product_id: profile.looked[product_id].at[-1])[-2:]
    profile.looked = {product_id: profile.looked[product_id] for product_id in newest_views}
    newest = sorted(profile.closed_carts, key=profile.closed_carts.__getitem__)[-MAX_CLOSED_CARTS // 4 :]
    profile.closed_carts = {cart_id: profile.closed_carts[cart_id] for cart_id in newest}


def _evict_lines(profile: Profile) -> None:
    for cart in profile.carts.values():
        cart.lines = dict(list(cart.lines.items())[-3:])


def _evict_counters(profile: Profile) -> None:
    kept = sorted(profile.counts, key=profile.counts.__getitem__, reverse=True)[: MAX_NAMES // 4]
    profile.counts = {name: profile.counts[name] for name in kept}
    profile.decayed = {name: profile.decayed[name] for name in kept if name in profile.decayed}
    profile.anonymous_ids = profile.anonymous_ids[-1:]


def _evict_purchases(profile: Profile) -> None:
    """Drops products of older orders, and the source and text version of consent statements: the consent history has them."""
    newest = sorted(profile.purchases, key=lambda order_id: profile.purchases[order_id].at)[-2:]
    profile.purchases = {order_id: profile.purchases[order_id] for order_id in newest}
    for purchase in profile.purchases.values():
        purchase.product_ids = purchase.product_ids[:5]
    for key, statement in profile.consent.items():
        profile.consent[key] = Consent(statement.granted, statement.captured_at)


def _evict_rest(profile: Profile) -> None:
    """Drops everything but identity, consent, ages, sent and open messages, and the newest decisions."""
    profile.traits = {name: value for name, value in profile.traits.items() if is_age_trait(name)}
    profile.carts, profile.looked, profile.purchases, profile.closed_carts = {}, {}, {}, {}
    profile.counts, profile.decayed, profile.interests, profile.recent = {}, {}, {}, []
    profile.visit = profile.session = None
    profile.published = dict(list(profile.published.items())[-MAX_PUBLISHED // 5 :])
    newest = sorted(profile.done, key=lambda key: (profile.done[key], key))[-MAX_DONE // 10 :]
    profile.done = {key: profile.done[key] for key in newest}
    profile.timers = {timer: due for timer, due in profile.timers.items() if timer.startswith("deadline|")}
    refused = {key: statement for key, statement in profile.consent.items() if not statement.granted}
    allowed = {key: statement for key, statement in profile.consent.items() if statement.granted}
    profile.consent = {**refused, **dict(list(allowed.items())[-MAX_ALLOWED:])}


#: The eviction steps, in order.
_EVICTIONS = (
    _evict_cart_texts,
    _evict_old_carts,
    _evict_traits,
    _evict_counters,
    _evict_interests,
    _evict_lines,
    _evict_purchases,
    _evict_rest,
)
