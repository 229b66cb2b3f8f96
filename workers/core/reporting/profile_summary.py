"""Summarises a customer without any decision, to explain why nothing was sent."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.profiles import CartView, ProfileView
from workers.core.common.timestamps import utc
from workers.core.profile.consent import PERSONALISATION, consent_key

_MOST_EVENTS = 6


def portray(view: ProfileView, channels: Sequence[str]) -> list[str]:
    """Returns the profile as sentences, one per line, in the order of the policy checks."""
    features = view.features
    lines = [f"What is known of {view.customer_id}, as of {utc(view.updated_at)}:"]
    if view.user_id is None:
        lines.append("  anonymous: nobody is written to before we know who they are (an event with a userId)")
    seen = f", first {utc(features.first_seen)}" if features.first_seen else ""
    seen += f", last {utc(features.last_seen)}" if features.last_seen else ""
    lines.append(f"  seen: {features.events} events{seen}{_most(features.counts)}")
    lines.append(f"  target group: {view.target_group or 'none yet'}")
    if view.segments:
        lines.append(f"  segments: {', '.join(view.segments)}")
    lines.extend(f"  {line}" for line in _consent(view, channels))
    lines.extend(f"  {_cart(cart)}" for cart in features.carts)
    if not features.carts:
        lines.append("  no open cart")
    last_order = f", the last {utc(features.last_order_at)}" if features.last_order_at else ""
    lines.append(f"  orders: {features.orders}{last_order}; messages sent so far: {features.messages_sent}")
    return lines


def _most(counts: dict[str, int]) -> str:
    most = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:_MOST_EVENTS]
    return f" ({', '.join(f'{name} {count}' for name, count in most)})" if most else ""


def _consent(view: ProfileView, channels: Sequence[str]) -> list[str]:
    """Returns one line per channel: no statement means no consent."""
    lines = []
    for channel in sorted({*channels, *(key.partition(":")[0] for key in view.consent if ":" in key)}):
        said = view.consent.get(consent_key(channel))
        if said is None:
            lines.append(f"consent to {channel}: never given, so no marketing leaves there")
        else:
            source = f" ({said.source})" if said.source else ""
            lines.append(
                f"consent to {channel}: {'given' if said.granted else 'refused'} {utc(said.captured_at)}{source}"
            )
    refused = view.consent.get(PERSONALISATION)
    if refused is not None and not refused.granted:
        lines.append(f"personalisation: refused {utc(refused.captured_at)}: generic words only")
    return lines


def _cart(cart: CartView) -> str:
    items = ", ".join(f"{line.quantity} × {line.product_id}" for line in cart.items) or "nothing"
    return f"open cart {cart.cart_id}: {items}; last touched {utc(cart.updated_at)}"
