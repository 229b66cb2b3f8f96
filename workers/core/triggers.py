"""Triggers: which occurrences a profile has, when they are due, and whether they still hold then."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from schemas.base import SourceEvent
from workers.core.playbook import Campaign, CartAbandonment
from workers.core.profile import Cart, CartLine, Profile
from workers.core.timers import Timers

_PREFIX = "cart"


class Occurrence(msgspec.Struct, frozen=True, kw_only=True):
    """One reason to speak to a customer. `occurrence_id` is the same however often it is derived."""

    campaign: Campaign
    occurrence_id: str
    due_at_s: float
    cart_id: str
    line: CartLine
    currency: str | None
    source: SourceEvent | None


def name(trigger: CartAbandonment) -> str:
    """The trigger's type as the playbook and the ledger call it."""
    return str(trigger.__struct_config__.tag)


def timer_id(campaign_id: str, cart_id: str) -> str:
    """The timer of one cart in one campaign."""
    return f"{_PREFIX}|{campaign_id}|{cart_id}"


def parse_timer_id(timer: str) -> tuple[str, str] | None:
    """(campaign_id, cart_id), or None for a timer of another kind."""
    parts = timer.split("|", 2)
    return (parts[1], parts[2]) if parts[0] == _PREFIX and len(parts) == 3 else None


def rearm(profile: Profile, cart_ids: Iterable[str], campaigns: Iterable[Campaign], timers: Timers) -> None:
    """Sets, moves or cancels the timers of carts that changed."""
    for campaign in campaigns:
        for cart_id in cart_ids:
            timer = timer_id(campaign.id, cart_id)
            cart = profile.carts.get(cart_id)
            if cart is None or occurrence_id(cart_id, cart) in _done(profile, campaign):
                timers.cancel(profile, timer)
            else:
                timers.set(profile, timer, cart.updated_at + campaign.trigger.delay_s)


def due_at(profile: Profile, campaign: Campaign, cart_id: str) -> float | None:
    """When an open cart is due [s, to the millisecond, as timers are]; None = there is no such cart."""
    cart = profile.carts.get(cart_id)
    return None if cart is None else round((cart.updated_at + campaign.trigger.delay_s) * 1000) / 1000


def due(profile: Profile, campaign: Campaign, cart_id: str) -> Occurrence | None:
    """The occurrence of a cart that is due, if it still holds: it is worth enough and was not decided before."""
    trigger: CartAbandonment = campaign.trigger
    cart = profile.carts.get(cart_id)
    if cart is None:
        return None
    if trigger.min_value is not None and cart.value < trigger.min_value:
        return None
    occurrence = occurrence_id(cart_id, cart)
    if occurrence in _done(profile, campaign):
        return None
    return Occurrence(
        campaign=campaign,
        occurrence_id=occurrence,
        due_at_s=cart.updated_at + trigger.delay_s,
        cart_id=cart_id,
        line=_leading_line(cart),
        currency=cart.currency,
        source=cart.source,
    )


def occurrence_id(cart_id: str, cart: Cart) -> str:
    """A cart that was bought and filled again is another occurrence."""
    return f"{cart_id}@{round(cart.opened_at * 1000)}"


def done_key(campaign_id: str, occurrence: str) -> str:
    """Under which a decided occurrence is remembered."""
    return f"{campaign_id}|{occurrence}"


def _done(profile: Profile, campaign: Campaign) -> set[str]:
    prefix = f"{campaign.id}|"
    return {key.removeprefix(prefix) for key in profile.done if key.startswith(prefix)}


def _leading_line(cart: Cart) -> CartLine:
    """The product that the message is about: the most valuable, then the newest, then by id."""
    return max(cart.lines.values(), key=lambda line: (line.price or 0.0, line.added_at, line.product_id))
