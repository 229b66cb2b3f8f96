"""Summarises a customer without any decision, to explain why nothing was sent."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.profiles import CartView, ProfileView
from workers.core.common.timestamps import utc
from workers.core.profile.consent import PERSONALISATION, consent_key

_MAX_EVENT_NAMES = 6


def summarise(view: ProfileView, channels: Sequence[str]) -> list[str]:
    """Returns the profile as sentences, one per line, in the order of the policy checks."""
    features = view.features
    lines = [f"Profile of {view.customer_id}, as of {utc(view.updated_at)}:"]
    if view.user_id is None:
        lines.append("  anonymous: no message is sent until an event with a userId identifies the customer")
    seen = f", first {utc(features.first_seen)}" if features.first_seen else ""
    seen += f", last {utc(features.last_seen)}" if features.last_seen else ""
    lines.append(f"  seen: {features.events} events{seen}{_top_events(features.counts)}")
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


def _top_events(counts: dict[str, int]) -> str:
    top = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:_MAX_EVENT_NAMES]
    return f" ({', '.join(f'{name} {count}' for name, count in top)})" if top else ""


def _consent(view: ProfileView, channels: Sequence[str]) -> list[str]:
    """Returns one line per channel; without a statement there is no consent."""
    lines = []
    for channel in sorted({*channels, *(key.partition(":")[0] for key in view.consent if ":" in key)}):
        statement = view.consent.get(consent_key(channel))
        if statement is None:
            lines.append(f"consent to {channel}: never given, so no marketing is sent there")
        else:
            source = f" ({statement.source})" if statement.source else ""
            given = "given" if statement.granted else "refused"
            lines.append(f"consent to {channel}: {given} {utc(statement.captured_at)}{source}")
    refused = view.consent.get(PERSONALISATION)
    if refused is not None and not refused.granted:
        lines.append(f"personalisation: refused {utc(refused.captured_at)}: generic text only")
    return lines


def _cart(cart: CartView) -> str:
    items = ", ".join(f"{line.quantity} × {line.product_id}" for line in cart.items) or "nothing"
    return f"open cart {cart.cart_id}: {items}; last changed {utc(cart.updated_at)}"
