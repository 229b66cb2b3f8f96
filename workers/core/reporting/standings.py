"""Aggregates message results and learning state into the rows of `attune stats`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import msgspec

from schemas.learning import ArmStatistics, FeedbackMetrics
from workers.core.attribution.metrics import combine, has_uplift
from workers.core.experimentation import arms, bandit
from workers.core.playbook.playbook import Playbook

By = Literal["campaign", "arm", "group", "channel"]
#: The fields of FeedbackMetrics that make up a row's key. Arms of different campaigns are never the same.
_KEYS: dict[By, Callable[[FeedbackMetrics], tuple[str, ...]]] = {
    "campaign": lambda row: (row.campaign_id,),
    "arm": lambda row: (row.campaign_id, row.variation_id),
    "group": lambda row: (row.target_group,),
    "channel": lambda row: (row.channel,),
}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """The counts of all records with one key, summed over all other fields (partitions, windows), with rates and uplift."""

    key: tuple[str, ...]
    counts: FeedbackMetrics


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one arm in one target group. `mean_reward` None = no data; `chance`: the probability of being chosen next,
    None = the campaign is not in the playbook, or there is no playbook.
    """

    campaign_id: str
    target_group: str
    arm: str
    trials: float
    pending: float
    mean_reward: float | None
    chance: float | None


def rows(metrics: Iterable[FeedbackMetrics], by: By, campaign: str | None = None) -> list[Row]:
    """Returns one row per key, sorted by key. `metrics`: the newest record of each key of feedback.metrics.

    The intervals of uplift are widened so that all rows hold simultaneously.
    """
    key_of, found = _KEYS[by], dict[tuple[str, ...], list[FeedbackMetrics]]()
    for record in metrics:
        if campaign in (None, record.campaign_id):
            found.setdefault(key_of(record), []).append(record)
    intervals = sum(map(has_uplift, found.values()))
    return [Row(key=key, counts=combine(records, max(1, intervals))) for key, records in sorted(found.items())]


def standings(
    evidence: Mapping[str, Mapping[str, Mapping[str, ArmStatistics]]],
    playbook: Playbook | None,
    campaign: str | None = None,
) -> list[Standing]:
    """Returns every arm with data, by campaign and target group, the likeliest next choice first.

    The chances are those with which the policy would draw now. Arms removed from the playbook stay, with a chance of 0.
    """
    found = []
    for campaign_id, contexts in sorted(evidence.items()):
        if campaign not in (None, campaign_id):
            continue
        for group, statistics in sorted(contexts.items()):
            chances = _chances(playbook, campaign_id, statistics)
            every = dict.fromkeys([*chances, *sorted(statistics)])
            standing = [
                _standing(statistics.get(arm) or ArmStatistics(arm=arm), campaign_id, group, chances) for arm in every
            ]
            found += sorted(standing, key=lambda one: (-(one.chance or 0.0), one.arm))
    return found


def _chances(playbook: Playbook | None, campaign_id: str, statistics: Mapping[str, ArmStatistics]) -> dict[str, float]:
    campaign = playbook.campaigns.get(campaign_id) if playbook is not None else None
    if playbook is None or campaign is None:
        return {}
    learning = playbook.policy.learning
    return bandit.probabilities(statistics, arms.names(campaign), learning.epsilon, learning.prior_trials)


def _standing(one: ArmStatistics, campaign_id: str, group: str, chances: Mapping[str, float]) -> Standing:
    return Standing(
        campaign_id=campaign_id,
        target_group=group,
        arm=one.arm,
        trials=one.trials,
        pending=one.pending,
        mean_reward=one.rewards / one.trials if one.trials > 0 else None,
        chance=chances.get(one.arm, 0.0) if chances else None,
    )


#: An arm is losing if its chance is below this fraction of a uniform choice's.
_LOSING = 0.5


def losing_arms(
    playbook: Playbook, evidence: Mapping[str, Mapping[str, Mapping[str, ArmStatistics]]]
) -> frozenset[tuple[str, str, str]]:
    """Returns (campaign, target group, arm) for every arm drawn less than half as often as in a uniform choice."""
    return frozenset(
        (one.campaign_id, one.target_group, one.arm)
        for one in standings(evidence, playbook)
        if one.chance is not None
        and one.campaign_id in playbook.campaigns
        and one.chance < _LOSING / len(arms.names(playbook.campaigns[one.campaign_id]))
    )
