"""The structs of campaigns.yaml: triggers, variants, tones."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from schemas.base import Category
from workers.core.playbook.base import Id, PositiveSeconds, Texts
from workers.core.playbook.base import Strict as _Strict


class CartAbandonment(_Strict, frozen=True, kw_only=True, tag_field="type", tag="cart_abandonment"):
    """A cart without activity for `delay_s` that was not bought."""

    delay_s: PositiveSeconds
    min_value: float | None = None


class RepeatView(_Strict, frozen=True, kw_only=True, tag_field="type", tag="repeat_view"):
    """One product viewed `views` times within `within_s`, neither added to the cart nor followed by any purchase; fires
    `delay_s` after the last view.
    """

    delay_s: PositiveSeconds
    views: Annotated[int, Meta(ge=2, le=20)] = 3
    within_s: PositiveSeconds = 86_400.0


class BrowseAbandonment(_Strict, frozen=True, kw_only=True, tag_field="type", tag="browse_abandonment"):
    """A visit with at least `views` product views that ended without a cart or an order; fires `delay_s` after the last view."""

    delay_s: PositiveSeconds
    views: Annotated[int, Meta(ge=1, le=100)] = 1


class CrossSell(_Strict, frozen=True, kw_only=True, tag_field="type", tag="cross_sell"):
    """`delay_s` after an order: a product that goes with it and was not bought.

    `offer`, tried in order: `accessories` of what was bought (products with `accessory_of`), `viewed`: the products the
    customer viewed last. An order with nothing to offer is not an occurrence.
    """

    delay_s: PositiveSeconds
    offer: list[Literal["accessories", "viewed"]]


Trigger = CartAbandonment | RepeatView | BrowseAbandonment | CrossSell
#: The rollout of a campaign. `shadow`: everything is decided and generated, nothing is sent. `allowlist`: only the customers of
#: policy.yaml's `allowlist`. `ramp`: a stable `ramp_percent` of all customers.
Mode = Literal["shadow", "allowlist", "ramp", "live"]
#: The source of a campaign's copy: an LLM call for each message, or texts written in advance and approved.
Strategy = Literal["fresh", "pooled"]


class Variant(_Strict, frozen=True, kw_only=True):
    """One way to request a campaign's copy: an arm of its experiment, combined with each of the campaign's tones."""

    id: Id
    prompt: Id


class Tone(_Strict, frozen=True, kw_only=True):
    """A tone of voice. Prompts see `tone.id` and `tone.hint`, templates `tone.id`."""

    id: Id
    hint: Texts


class Campaign(_Strict, frozen=True, kw_only=True):
    """Defines who gets which message, when, on which channel. The first of `channels` that the customer allows is used.

    `deadline_s`: the template is sent if no text has arrived by then. `ttl_s`: the message expires after that.
    `max_age_s`: after an outage, an occurrence that should have been decided longer ago than this ends as `stale`. `variants` ×
    `tones` are the arms that the system learns to choose among, plus sending nothing with `no_send`; without `variants` there
    is one, which uses `prompt`. `prompt` also names the templates of every variant. `pool_miss`: what a request of a pooled
    campaign gets when no approved text matches. `pool_wear`: a text that one worker has used this often is worn out, and
    reported.
    """

    id: Id
    name: Texts
    trigger: Trigger
    channels: list[Id]
    prompt: Id
    goal: Texts
    category: Category = "marketing"
    priority: Annotated[int, Meta(ge=0, le=9)] = 5
    deadline_s: PositiveSeconds = 60.0
    ttl_s: PositiveSeconds = 86_400.0
    max_age_s: PositiveSeconds = 3600.0
    cta: Texts = {}
    mode: Mode = "shadow"
    ramp_percent: Annotated[float, Meta(ge=0, le=100)] = 0.0
    variants: list[Variant] = []
    tones: list[Id] = []
    no_send: bool = False
    strategy: Strategy = "fresh"
    pool_miss: Literal["fresh", "template"] = "template"
    pool_wear: Annotated[int, Meta(ge=1)] = 1000
