"""The structs of policy.yaml: the rules that apply to every campaign of a playbook.

Times are in seconds; languages are BCP 47 primary tags (`zh`, `en`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from schemas.base import Category, Probability
from schemas.names import normal
from workers.core.playbook.base import Id, PositiveSeconds, Texts
from workers.core.playbook.base import Strict as _Strict

#: An ISO 3166-1 country code or a UN M.49 area (419), as used in locales.
Region = Annotated[str, Meta(pattern=r"^([A-Z]{2}|[0-9]{3})$")]


class Cap(_Strict, frozen=True, kw_only=True):
    """At most `messages` of a category in any window of `per_s` seconds, over all channels or one."""

    messages: Annotated[int, Meta(ge=1)]
    per_s: PositiveSeconds
    category: Category = "marketing"
    channel: Id | None = None


TimeOfDay = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class QuietHours(_Strict, frozen=True, kw_only=True):
    """No marketing is sent between `start` and `end` (may span midnight) in the customer's time zone: it waits for `end`.

    `timezone`: for customers whose zone is unknown; None = they get nothing (`missing_timezone`). `channels` None = all.
    """

    start: TimeOfDay
    end: TimeOfDay
    timezone: str | None = None
    channels: list[Id] | None = None


class Rewards(_Strict, frozen=True, kw_only=True):
    """The outcome of a decision as a number to learn from: the sum of what happened, each counted once."""

    opened: float = 0.0
    clicked: float = 0.3
    replied: float = 0.3
    converted: float = 1.0
    unsubscribed: float = -1.0
    complained: float = -2.0


class Learning(_Strict, frozen=True, kw_only=True):
    """How the system learns. `epsilon` of all choices is spread evenly over the arms, so that each stays measurable.

    `attribution_s`: customer actions up to this long after a decision count for it. `metrics_window_s`: decisions within one
    such window share a record of feedback.metrics. `prior_trials`: the weight of the common prior of all arms, in trials.
    """

    epsilon: Annotated[float, Meta(gt=0, le=1)] = 0.1
    attribution_s: PositiveSeconds = 86_400.0
    metrics_window_s: PositiveSeconds = 3600.0
    prior_trials: Annotated[float, Meta(gt=0)] = 4.0
    rewards: Rewards = Rewards()


class ReviewRules(_Strict, frozen=True, kw_only=True):
    """The model texts that a person must approve before sending, and what happens to those that no one reviews.

    `new_prompts`: all texts of a prompt version not yet trusted (`attune review trust`). `after_reask`: those with an earlier
    rejected draft. `sample`: this share of the others. The wait ends after `timeout_s`, and always before the message expires:
    then `on_timeout` applies. Templates and pool texts need no review, because people have already written or approved them.
    """

    new_prompts: bool = False
    after_reask: bool = False
    sample: Probability = 0.0
    timeout_s: PositiveSeconds = 14_400.0
    on_timeout: Literal["template", "publish", "discard"] = "template"
    on_reject: Literal["template", "discard"] = "discard"


class ClaimRules(_Strict, frozen=True, kw_only=True):
    """How certain the gate must be that a model's text states nothing but what the facts say.

    The score of a text is that of its worst sentence: the probability that it is false. A text below `pass_below` passes, one
    from `reject_from` on is rejected. One between them is doubtful: the model is asked again, and if it writes nothing better,
    the template is sent, or a person decides (`doubtful: review`).

    `checker`: the trained claim checker judges; otherwise the words of a text are held against the facts.
    """

    checker: bool = False
    pass_below: Probability = 0.2
    reject_from: Probability = 0.8
    doubtful: Literal["template", "review"] = "template"


class Market(_Strict, frozen=True, kw_only=True):
    """A region whose law and custom a text must comply with: customers whose locale has one of its `regions` (markets.py).

    `rule_packs` are IDs of guardrails.packs. `ai_label` marks the model's texts there and takes precedence over the policy's;
    with `ai_label_required` every language must have a label.
    """

    id: Id
    regions: list[Region] = []
    rule_packs: list[Id] = []
    ai_label: Texts = {}
    ai_label_required: bool = False


class Voice(_Strict, frozen=True, kw_only=True):
    """The brand's voice. Prompts see `hint`; no text may contain the words to `avoid`, which match like banned words."""

    hint: Texts = {}
    avoid: list[Annotated[str, Meta(pattern=r"\S")]] = []


Host = Annotated[str, Meta(pattern=r"^(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)+$")]
#: A channel with a purpose, a purpose on all channels (which can only be refused), or `personalisation`.
ConsentTarget = Annotated[str, Meta(pattern=r"^(([a-z][a-z0-9_-]*:)?(marketing|transactional)|personalisation)$")]


class Policy(_Strict, frozen=True, kw_only=True):
    """policy.yaml: what applies to every campaign. Consent is default-deny; this cannot be changed here.

    `holdout`: the share of customers who never get marketing, so that its effect can be measured; for a `ghost_share` of the
    messages they would have got, the copy is still generated, for comparison. `allowlist`: the user_ids who get campaigns of
    mode `allowlist`. `default_market`: language → the market of customers whose locale has no region, or one that belongs to
    no market. `neutral_words`, per language: words and phrases that claim nothing, in addition to the package's.
    `consent_categories`: what the categories of the shop's own consent dialogue (Segment's
    `context.consent.categoryPreferences`) allow or refuse.

    `undescribed_products`: for products known only from events, `refuse` sends no message; `unnamed` refers to them by
    categories that the playbook names and by single-word brands; `named` also uses the name from an event, which is safe only
    if only the shop can send events. Their links and images are sent only if they are https on a host of the playbook's
    own products, or on one of `link_hosts` or its subdomains.
    """

    caps: list[Cap] = []
    quiet_hours: QuietHours | None = None
    holdout: Probability = 0.0
    ghost_share: Probability = 0.0
    allowlist: list[str] = []
    learning: Learning = Learning()
    review: ReviewRules = ReviewRules()
    claims: ClaimRules = ClaimRules()
    banned_words: dict[str, list[str]] = {}
    neutral_words: dict[str, list[str]] = {}
    ai_label: Texts = {}
    markets: list[Market] = []
    default_market: dict[str, Id] = {}
    voice: Voice = Voice()
    consent_categories: dict[str, list[ConsentTarget]] = {}
    undescribed_products: Literal["refuse", "unnamed", "named"] = "refuse"
    link_hosts: list[Host] = []

    @property
    def categories(self) -> dict[str, tuple[str, ...]]:
        """`consent_categories` keyed by the normal form of their names."""
        return {normal(name): tuple(targets) for name, targets in self.consent_categories.items()}
