"""Defines feedback.metrics, policy.snapshots, copy.pool and model.registry: what the system learns and acts on."""

from __future__ import annotations

from typing import Literal

import msgspec

from schemas.base import FIRST_VERSION, Identifier, Instant, Wire, always
from schemas.messages import GuardrailVerdict, MessageText


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A rate or a difference of rates with its 95 % interval (see the field that contains it)."""

    value: float
    low: float
    high: float


class FeedbackMetrics(Wire, frozen=True, kw_only=True):
    """feedback.metrics: cumulative counts of one campaign, arm, target group, partition and window of decision time.

    Counts may be summed over partitions, windows, arms and groups. `rates` and `uplift` are computed from the counts of this
    record alone: to combine records, sum the counts and recompute them, `uplift` by windows (docs/learning.md).

    `requested`, `holdout`, `no_action` count decisions, and `*_converted` those after which the customer ordered within the
    attribution window, with or without a message. `requested_customers`, `holdout_customers` count customers, each once per
    campaign and period of 28 days: with the first such decision, when its window is over. `*_customers_converted` counts those
    of them who ordered within it (intention to treat). `uplift` is the difference of these two shares; its interval is valid
    however often it is checked, for this record alone. `rates` have Wilson intervals, which assume independent decisions.

    `converted` and `revenue` (per currency) are attributed to the last published message (last touch). `opened` counts opens
    by people, `machine_opened` by mail scanners. `ignored`: feedback that is not counted elsewhere, by reason.
    """

    campaign_id: Identifier
    partition: int
    window_start: Instant
    window_end: Instant
    channel: str = ""
    variation_id: str = ""
    target_group: str = ""
    decisions: int = 0
    requested: int = 0
    requested_converted: int = 0
    holdout: int = 0
    holdout_converted: int = 0
    no_action: int = 0
    no_action_converted: int = 0
    published: int = 0
    sent: int = 0
    delivered: int = 0
    opened: int = 0
    machine_opened: int = 0
    clicked: int = 0
    replied: int = 0
    converted: int = 0
    unsubscribed: int = 0
    complained: int = 0
    bounced: int = 0
    failed: int = 0
    rated: int = 0
    rating_sum: int = 0
    requested_customers: int = 0
    requested_customers_converted: int = 0
    holdout_customers: int = 0
    holdout_customers_converted: int = 0
    revenue: dict[str, float] = {}
    requested_revenue: dict[str, float] = {}
    holdout_revenue: dict[str, float] = {}
    ignored: dict[str, int] = {}
    rates: dict[str, Estimate] = {}
    uplift: Estimate | None = None
    updated_at: Instant
    schema_version: int = always(FIRST_VERSION)


class ArmStatistics(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Cumulative evidence for one arm (`variation_id`) in one context (target group). Readers sum the partitions.

    `trials`: decisions whose reward is known, plus those still open, each weighted by the share of rewards that arrive
    within its age (delay correction). `pending`: the number of open ones. `rewards`, `reward_squares`: sums over the decisions.
    """

    arm: str
    context: str = ""
    trials: float = 0.0
    pending: float = 0.0
    rewards: float = 0.0
    reward_squares: float = 0.0


class PolicySnapshot(Wire, frozen=True, kw_only=True):
    """policy.snapshots: one partition's share of the evidence of a campaign."""

    campaign_id: Identifier
    partition: int
    arms: list[ArmStatistics] = []
    snapshot_version: str = ""
    taken_at: Instant
    schema_version: int = always(FIRST_VERSION)


class PoolEntry(Wire, frozen=True, kw_only=True):
    """copy.pool: a text generated in advance for campaign × variation × channel × language × target group × product.

    Slots are `{name}`, of the closed set in workers/core/generation/pool/slots.py. `prompt` and `tone` are the values of the
    variation in a request; `variation_id` is the arm's name for people. `verdicts` and `playbook_version` date from generation.
    """

    entry_id: Identifier
    campaign_id: Identifier
    channel: str
    language: str
    target_group: str
    product_id: str
    text: MessageText
    slots: list[str] = []
    status: Literal["draft", "approved", "rejected", "retired"]
    variation_id: str = ""
    prompt: str = ""
    tone: str = ""
    prompt_version: str = ""
    playbook_version: str = ""
    verdicts: list[GuardrailVerdict] = []
    model: str = ""
    rating: float | None = None
    reviewer: str = ""
    updated_at: Instant
    schema_version: int = always(FIRST_VERSION)


class ModelVersion(Wire, frozen=True, kw_only=True):
    """model.registry: a trained adapter or encoder, and its status."""

    model_id: Identifier
    kind: Literal["adapter", "encoder", "sentiment", "reward"]
    base_model: str = ""
    path: str = ""
    sha256: str = ""
    status: Literal["candidate", "canary", "live", "retired"]
    metrics: dict[str, float] = {}
    data: str = ""
    license: str = ""
    registered_at: Instant
    schema_version: int = always(FIRST_VERSION)
