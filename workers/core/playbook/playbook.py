"""The marketing knowledge, as plain structs: what `adapters/playbook/loader.py` reads from a folder and checks.

What holds for every campaign (policy.yaml) is in `house_rules`.

Times are seconds, money is in the product's currency, languages are BCP 47 primary tags (`zh`, `en`).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from schemas.base import Category
from schemas.catalogue import CatalogueProduct
from workers.core.playbook.base import Id, PositiveSeconds, Texts
from workers.core.playbook.base import Strict as _Strict
from workers.core.playbook.channels import Channel, FieldLimit
from workers.core.playbook.policy import Policy

#: The target group of texts that use nothing of the customer; no group of a playbook may be called so.
GENERIC_GROUP = "generic"


class Condition(_Strict, frozen=True, kw_only=True):
    """One comparison of a profile field, or a combination. Exactly one comparison per condition (`at_least` with
    `at_most` is one: a range). Texts compare without regard to case.

    `field` is `traits.NAME`, `count.EVENT NAME` (exact), `decayed.EVENT NAME`, `interest.CATEGORY|BRAND|TAG` (decayed),
    `orders`, `revenue`, `days_since_last_order`, `days_since_last_seen`, `price_max`, `language`, `locale`, `timezone`.
    """

    field: str | None = None
    equals: str | int | float | bool | None = None
    one_of: list[str] | None = None
    contains: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    known: bool | None = None
    all: list[Condition] | None = None
    any: list[Condition] | None = None
    none: list[Condition] | None = None


class TargetGroup(_Strict, frozen=True, kw_only=True):
    """One group of customers that is spoken to in its own way. A customer is in the first whose `when` holds."""

    id: Id
    name: Texts
    angle: Texts
    when: Condition


class Segment(_Strict, frozen=True, kw_only=True):
    """A live set of customers; one customer may be in many."""

    id: Id
    name: Texts = {}
    when: Condition


class Audiences(_Strict, frozen=True, kw_only=True):
    """audiences.yaml. `default_target_group` takes those in whom no rule recognises a group."""

    target_groups: list[TargetGroup]
    default_target_group: Id
    segments: list[Segment] = []


class Surface(_Strict, frozen=True, kw_only=True):
    """A place for copy that is no message to a customer: a product page, an ad. `fields` as a channel's.

    `prompt` names the prompts and templates of this surface; campaigns cannot use them.
    """

    id: Id
    name: Texts
    prompt: Id
    fields: dict[str, dict[str, FieldLimit]]


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


class Decoding(_Strict, frozen=True, kw_only=True):
    """How the model samples for one prompt, in the head of its file between two lines `---`.

    `samples` answers are asked for in one call, and the first that passes is taken; `frequency_penalty` above 0 keeps a
    small model from repeating itself.
    `example_words` are those of the prompt's examples that must not come back in an answer (the example's product).
    `model` names a LoRA adapter that the server offers; where it does not, its own model answers.
    """

    temperature: Annotated[float, Meta(ge=0, le=2)] = 0.7
    top_p: Annotated[float, Meta(gt=0, le=1)] = 0.95
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] = 0.0
    samples: Annotated[int, Meta(ge=1, le=8)] = 1
    max_tokens: Annotated[int, Meta(ge=16, le=4096)] = 240
    example_words: list[str] = []
    model: Annotated[str, Meta(max_length=200)] = ""


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """One prompt in one language: Jinja source and the version that is stamped on what it wrote.

    The source is cut into turns by lines `=== system ===`, `=== user ===`, `=== assistant ===`.
    """

    id: str
    language: str
    source: str
    version: str
    decoding: Decoding = Decoding()


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """Hand-written words in one language, for when no model's text passes. Jinja sources by MessageText field.

    `target_group` None = the generic template, for customers who refused personalisation.
    """

    prompt: str
    language: str
    target_group: str | None
    channel: str
    fields: dict[str, str]
    version: str


class Playbook(msgspec.Struct, frozen=True, kw_only=True):
    """A checked playbook. `version` is the hash of all its files. Keys: prompts (prompt, language), templates (prompt,
    language, target group or None, channel). The first of `languages` is for customers whose language is not known.
    """

    name: str
    version: str
    languages: tuple[str, ...]
    products: dict[str, CatalogueProduct]
    audiences: Audiences
    channels: dict[str, Channel]
    campaigns: dict[str, Campaign]
    policy: Policy
    prompts: dict[tuple[str, str], Prompt]
    templates: dict[tuple[str, str, str | None, str], Template]
    tones: dict[str, Tone] = {}
    #: What a category code is called in copy, per language: for products that only events know.
    category_names: dict[str, Texts] = {}
    #: Of copy that is no message; the keys of its prompts and templates are as above, with the surface as channel.
    surfaces: dict[str, Surface] = {}
    copy_prompts: dict[tuple[str, str], Prompt] = {}
    copy_templates: dict[tuple[str, str, str | None, str], Template] = {}
