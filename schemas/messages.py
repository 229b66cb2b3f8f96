"""Defines the records of a message: decision (ledger) → request → candidate → (review, verdict) → outcome, message → feedback."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from schemas.base import (
    FIRST_VERSION,
    AbortType,
    Category,
    GeneratedBy,
    Identifier,
    Instant,
    Probability,
    SourceEvent,
    Wire,
    always,
)


class PolicyCheck(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One check of the policy, in the order in which they ran; `detail` is for people."""

    name: str
    passed: bool
    detail: str = ""


class Decision(Wire, frozen=True, kw_only=True):
    """message.decisions, the ledger: exactly one record per trigger occurrence, sent or not, with its reason.

    `reason` is `requested` if a message was requested, otherwise the abort_type; with `shadow` a text is requested too, but not
    sent. `variation_id` names the arm (`<variant>.<tone>`, or `no-send`), `propensities` the probability of every available
    arm, and `propensity` that of the chosen one. With `holdout` they are those of the virtual send, for which a text is
    requested too if there is a `message_id`. `mode` is the campaign's mode at that time ("" in older records): decisions in
    mode `shadow` are not evidence. `holdout_share`: the share of customers that was held out at that time, 0 for an exempt
    category (None = an older record).
    """

    decision_id: Identifier
    user_id: Identifier
    campaign_id: Identifier
    occurrence_id: Identifier
    trigger: str
    decided_at: Instant
    reason: AbortType | Literal["requested"]
    detail: str = ""
    checks: list[PolicyCheck] = []
    message_id: str | None = None
    channel: str | None = None
    variation_id: str | None = None
    experiment_id: str | None = None
    target_group: str | None = None
    locale: str | None = None
    product_id: str | None = None
    category: Category = always("marketing")
    mode: str = ""  # the campaign's mode at the time of the decision
    propensity: Probability = 1.0
    propensities: dict[str, float] = {}
    holdout_share: Probability | None = None
    due_at: Instant | None = None
    policy_version: str = ""
    playbook_version: str = ""
    profile_version: int = 0
    snapshot_version: str = ""
    source_event: SourceEvent | None = None
    schema_version: int = always(FIRST_VERSION)


class ProductFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The product that a message is about; the only source of claims, names and numbers in its text.

    `reference_price` is the lowest price of the last 30 days: a text may mention a reduced price only if it is above `price`.
    """

    product_id: str
    name: str = ""
    category: str = ""
    brand: str = ""
    facts: list[str] = []
    price: float | None = None
    reference_price: float | None = None
    currency: str | None = None
    url: str = ""
    image_url: str = ""
    quantity: int | None = None


class MessageRequest(Wire, frozen=True, kw_only=True):
    """message.requests: everything that `generate` needs to write one text; it reads no other source.

    `customer_ref` is a pseudonym: the LLM server never gets the user_id. `template` names the hand-written template for when no
    text of the model passes ("" = that of `prompt`); `ghost`: the text is for review only and is not sent. `sketches`: the
    customer's last messages as hashes, from which no text can be recovered.
    """

    message_id: Identifier
    decision_id: Identifier
    user_id: Identifier
    customer_ref: str
    campaign_id: Identifier
    channel: Identifier
    category: Category = always("marketing")
    priority: Annotated[int, Meta(ge=0, le=9)] = 5
    language: str
    locale: str
    target_group: str
    prompt: str
    prompt_version: str
    product: ProductFacts
    variation_id: str | None = None
    experiment_id: str | None = None
    tone: str | None = None
    template: str = ""
    offer_id: str | None = None
    context: dict[str, str] = {}
    sketches: list[list[int]] = []
    requested_at: Instant
    deadline_at: Instant
    ghost: bool = False
    playbook_version: str = ""
    schema_version: int = always(FIRST_VERSION)


class GuardrailVerdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The verdict of one guardrail on one text.

    `doubtful`: not passed, but not certain enough to reject; a person may let it pass. A guardrail that judges sentences says
    which `sentence`, the `fact` that it was held against, the `layer` that judged (`checker`, `words`) and the `score`, which is
    the probability that it states something false.
    """

    name: str
    passed: bool
    detail: str = ""
    doubtful: bool = False
    layer: str = ""
    sentence: str = ""
    fact: str = ""
    score: float | None = None


class LlmUsage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The LLM calls for one candidate, including retries. Names follow OpenTelemetry's gen_ai attributes."""

    provider: str = ""
    model: str = ""
    adapter: str = ""
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    latency_s: float = 0.0
    finish_reason: str = ""


class MessageText(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The text of a message, by field of the channel. Empty = the channel has no such field."""

    title: str = ""
    body: str = ""
    email_subject: str = ""
    preheader: str = ""
    cta_text: str = ""


class Candidate(Wire, frozen=True, kw_only=True):
    """message.candidates: a finished text for one request; `personalise` decides whether it is published.

    `failure` is the reason why the LLM's text was not used (then `generated_by` is `template`); "" = it was used.
    """

    message_id: Identifier
    user_id: Identifier
    text: MessageText
    generated_by: GeneratedBy
    failure: str = ""
    verdicts: list[GuardrailVerdict] = []
    usage: LlmUsage = LlmUsage()
    prompt_version: str = ""
    pool_entry_id: str | None = None
    generated_at: Instant
    schema_version: int = always(FIRST_VERSION)


class Outcome(Wire, frozen=True, kw_only=True):
    """message.outcomes: exactly one per request. `reason` is `published`, or the reason why nothing was published."""

    message_id: Identifier
    decision_id: Identifier
    user_id: Identifier
    campaign_id: Identifier
    channel: str
    reason: AbortType | Literal["published"]
    detail: str = ""
    generated_by: GeneratedBy | None = None
    locale: str = ""
    target_group: str = ""
    product_id: str | None = None
    variation_id: str | None = None
    requested_at: Instant
    ended_at: Instant
    schema_version: int = always(FIRST_VERSION)


class CallToAction(msgspec.Struct, frozen=True, kw_only=True):
    """The button of a message: its text may come from the model, its link never does."""

    text: str = ""
    link_url: str = ""


#: The result of a review before publication: "" = no review was needed; `timeout` = no one reviewed it in time.
Reviewed = Literal["", "approved", "edited", "timeout"]


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """The origin of a message, complete enough to explain any complaint."""

    decision_id: str
    propensity: Probability = 1.0
    policy_version: str = ""
    playbook_version: str = ""
    prompt_version: str = ""
    profile_version: int = 0
    model: str = ""
    adapter: str = ""
    source_event: SourceEvent | None = None
    verdicts: list[GuardrailVerdict] = []
    generated_by: GeneratedBy = "template"
    reviewed: Reviewed = ""


class Message(Wire, frozen=True, kw_only=True, omit_defaults=False):
    """messages.<channel>: a finished message for the sender. It has no address: the sender resolves `user_id`.

    Senders must respect `idempotency_key` (the same key = the same message), `send_at` and `expires_at`.
    """

    message_id: Identifier
    idempotency_key: Identifier
    user_id: Identifier
    channel: Identifier
    category: Category = always("marketing")
    priority: Annotated[int, Meta(ge=0, le=9)] = 5
    campaign_id: Identifier
    campaign_name: str = ""
    journey_id: str | None = None
    step_id: str | None = None
    variation_id: str | None = None
    experiment_id: str | None = None
    target_group: str = ""
    product_id: str | None = None
    locale: str
    title: str = ""
    email_subject: str = ""
    preheader: str = ""
    body: str = ""
    image_url: str = ""
    cta: CallToAction = CallToAction()
    send_at: Instant
    expires_at: Instant
    list_id: str = ""
    unsubscribe_url: str = ""
    provider_template_id: str | None = None
    params: dict[str, str] = {}
    ai_generated: bool = False
    ai_label: str = ""
    provenance: Provenance
    schema_version: int = always(FIRST_VERSION)


class Cancellation(Wire, frozen=True, kw_only=True, omit_defaults=False):
    """message.cancellations: a published message became invalid before its `send_at`; the sender must not send it."""

    message_id: Identifier
    user_id: Identifier
    channel: str
    reason: AbortType
    cancelled_at: Instant
    schema_version: int = always(FIRST_VERSION)


FeedbackStatus = Literal[
    "queued",
    "sent",
    "delivered",
    "opened",
    "clicked",
    "converted",
    "replied",
    "unsubscribed",
    "bounced",
    "complained",
    "dropped",
    "failed",
    "skipped",
    "rated",
]


class Feedback(Wire, frozen=True, kw_only=True):
    """message.feedback: what happened to a message, from senders and reviewers. `revenue` is in `currency`."""

    event_id: Identifier
    message_id: Identifier
    user_id: Identifier
    channel: str = ""
    status: FeedbackStatus
    timestamp: Instant
    delivery_id: str | None = None
    link_id: str | None = None
    link_url: str | None = None
    machine_opened: bool = False
    bounce_type: Literal["hard", "soft"] | None = None
    bounce_reason: str | None = None
    abort_type: str | None = None
    abort_log: str | None = None
    rating: Annotated[int, Meta(ge=1, le=5)] | None = None
    comment: str | None = None
    order_id: str | None = None
    revenue: float | None = None
    currency: str | None = None
    schema_version: int = always(FIRST_VERSION)


class Review(Wire, frozen=True, kw_only=True):
    """message.reviews: a text that a person must review before it is published; the wait ends at `timeout_at`."""

    message_id: Identifier
    user_id: Identifier
    campaign_id: Identifier
    channel: str
    locale: str = ""
    target_group: str = ""
    product: ProductFacts
    text: MessageText
    prompt: str = ""
    language: str = ""
    prompt_version: str = ""
    verdicts: list[GuardrailVerdict] = []
    why: str = ""
    asked_at: Instant
    timeout_at: Instant
    schema_version: int = always(FIRST_VERSION)


class ReviewVerdict(Wire, frozen=True, kw_only=True):
    """message.verdicts: a reviewer's verdict on a text."""

    verdict_id: Identifier
    message_id: Identifier
    user_id: Identifier
    verdict: Literal["approve", "edit", "reject", "rate"]
    text: MessageText | None = None
    rating: Annotated[int, Meta(ge=1, le=5)] | None = None
    reasons: list[str] = []
    reviewer: str = ""
    decided_at: Instant
    schema_version: int = always(FIRST_VERSION)
