"""campaigns.yaml: triggers, variants, tones."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from schemas.base import Category
from workers.core.playbook.base import Id, PositiveSeconds, Texts
from workers.core.playbook.base import Strict as _Strict


class CartAbandonment(_Strict, frozen=True, kw_only=True, tag_field="type", tag="cart_abandonment"):
    """A cart that nothing was done with for `delay_s`, and that was not bought."""

    delay_s: PositiveSeconds
    min_value: float | None = None


class RepeatView(_Strict, frozen=True, kw_only=True, tag_field="type", tag="repeat_view"):
    """One product looked at `views` times within `within_s`, neither carted nor anything bought, `delay_s` after the last
    look.
    """

    delay_s: PositiveSeconds
    views: Annotated[int, Meta(ge=2, le=20)] = 3
    within_s: PositiveSeconds = 86_400.0


class BrowseAbandonment(_Strict, frozen=True, kw_only=True, tag_field="type", tag="browse_abandonment"):
    """A visit with at least `views` looks at products that ended without a cart or an order: `delay_s` after the last."""

    delay_s: PositiveSeconds
    views: Annotated[int, Meta(ge=1, le=100)] = 1


class CrossSell(_Strict, frozen=True, kw_only=True, tag_field="type", tag="cross_sell"):
    """`delay_s` after an order: something that goes with it and was not bought.

    `offer`, tried in order: `accessories` of what was bought (products with `accessory_of`), `viewed`: what the customer
    looked at last. An order with nothing to offer is no occurrence.
    """

    delay_s: PositiveSeconds
    offer: list[Literal["accessories", "viewed"]]


Trigger = CartAbandonment | RepeatView | BrowseAbandonment | CrossSell
#: How far a campaign is let out. `shadow`: everything is decided and written, nobody hears it. `allowlist`: only the
#: customers of policy.yaml's `allowlist`. `ramp`: a steady `ramp_percent` of all customers.
Mode = Literal["shadow", "allowlist", "ramp", "live"]
#: Where a campaign's words come from: an LLM call for each message, or texts that were written ahead and approved.
Strategy = Literal["fresh", "pooled"]


class Variant(_Strict, frozen=True, kw_only=True):
    """One way to ask for a campaign's words: an arm of its experiment, with each of the campaign's tones."""

    id: Id
    prompt: Id


class Tone(_Strict, frozen=True, kw_only=True):
    """A way to speak. Prompts see `tone.id` and `tone.hint`, templates `tone.id`."""

    id: Id
    hint: Texts


class Campaign(_Strict, frozen=True, kw_only=True):
    """Who hears what, when, on which channel. The first of `channels` that the customer allows is taken.

    `deadline_s`: the template leaves if no text has come by then. `ttl_s`: the message is worthless after that.
    `max_age_s`: after an outage, an occurrence that should have been decided longer ago ends as `stale`.
    `variants` × `tones` are the arms that the system learns to choose among, and with `no_send` also to say nothing;
    without `variants` there is one, which uses `prompt`. `prompt` also names the templates of every variant.
    `pool_miss`: what a request of a pooled campaign gets when no approved text fits it. `pool_wear`: a text that one worker
    has used so often is worn, and reported.
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
