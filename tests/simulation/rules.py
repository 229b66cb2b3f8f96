"""Builds the playbooks of a simulated shop in code, one for each change in a plan."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import msgspec

from schemas.catalogue import CatalogueProduct
from tests.support.core import make_playbook
from workers.core.playbook.campaigns import Campaign, CartAbandonment, Variant
from workers.core.playbook.channels import Channel, FieldLimit
from workers.core.playbook.playbook import Playbook
from workers.core.playbook.policy import Cap, Learning, Policy, QuietHours, ReviewRules

HOUR = 3600.0
CART, SHADE = "cart-abandonment", "shade"
PRODUCTS = ("band", "lamp", "desk")
CHANNELS = ("push", "email")
#: The words of a text that a guardrail doubts.
DOUBTFUL = "It surely flies."
LEARNING = Learning(attribution_s=6 * HOUR, metrics_window_s=HOUR)


class Shop(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a marketer. `modes`: by campaign; a missing campaign has been removed from the playbook."""

    quiet: tuple[str, str] | None = ("22:00", "08:00")
    cap: tuple[int, float] = (2, 24 * HOUR)
    rate_per_s: float | None = None
    arms: bool = False
    holdout: float = 0.0
    ghost_share: float = 0.0
    review: float = 0.0
    on_timeout: str = "template"
    on_reject: str = "discard"
    ttl_s: float = 6 * HOUR
    deadline_s: float = 60.0
    max_age_s: float = 2 * HOUR
    delay_s: float = 1800.0
    modes: tuple[tuple[str, str], ...] = ((CART, "live"), (SHADE, "shadow"))
    allowlist: tuple[str, ...] = ()

    @property
    def mode(self) -> dict[str, str]:
        """Campaign → mode."""
        return dict(self.modes)

    def delays(self) -> dict[str, float]:
        """Returns campaign → the time without changes after which a cart is abandoned [s]."""
        return {CART: self.delay_s, SHADE: self.delay_s / 2}


_FIELD = {"en": FieldLimit(max_chars=200)}
_CHANNELS = {
    "push": Channel(id="push", fields={"title": _FIELD, "body": _FIELD}),
    "email": Channel(
        id="email", fields={"title": _FIELD, "body": _FIELD}, unsubscribe_url="https://shop.example/unsubscribe"
    ),
}
_PRODUCTS = {
    name: CatalogueProduct(
        product_id=name,
        name={"en": name.title()},
        category="things",
        price=10.0,
        currency="EUR",
        url=f"https://shop.example/{name}",
    )
    for name in PRODUCTS
}


def playbook(shop: Shop) -> Playbook:
    """Returns the playbook with these settings."""
    channels = dict(_CHANNELS)
    if shop.rate_per_s is not None:
        channels["push"] = msgspec.structs.replace(channels["push"], rate_per_s=shop.rate_per_s)
    variants: dict[str, Any] = {}
    if shop.arms:
        variants = {"variants": [Variant(id="warm", prompt=CART), Variant(id="cool", prompt=CART)], "no_send": True}
    delays = shop.delays()
    campaigns = {
        name: Campaign(
            id=name,
            name={},
            trigger=CartAbandonment(delay_s=delays[name]),
            channels=list(CHANNELS),
            prompt=CART,
            goal={},
            mode=mode,  # type: ignore[arg-type] # one of its values
            ramp_percent=100.0,
            ttl_s=shop.ttl_s,
            deadline_s=shop.deadline_s,
            max_age_s=shop.max_age_s,
            **variants,
        )
        for name, mode in shop.modes
    }
    quiet = QuietHours(start=shop.quiet[0], end=shop.quiet[1]) if shop.quiet is not None else None
    policy = Policy(
        caps=[Cap(messages=shop.cap[0], per_s=shop.cap[1])],
        quiet_hours=quiet,
        holdout=shop.holdout,
        ghost_share=shop.ghost_share,
        allowlist=list(shop.allowlist),
        learning=LEARNING,
        review=ReviewRules(
            sample=shop.review,
            on_timeout=shop.on_timeout,  # type: ignore[arg-type] # one of its values
            on_reject=shop.on_reject,  # type: ignore[arg-type] # one of its values
        ),
        undescribed_products="named",
    )
    return make_playbook(
        version=f"v{crc32(repr(shop).encode()):x}",
        languages=("en",),
        products=_PRODUCTS,
        channels=channels,
        campaigns=campaigns,
        policy=policy,
    )
