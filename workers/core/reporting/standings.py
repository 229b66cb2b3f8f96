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

    The intervals of uplift are widened so that they hold for all rows simultaneously.
    """
    key_of, by_key = _KEYS[by], dict[tuple[str, ...], list[FeedbackMetrics]]()
    for record in metrics:
        if campaign in (None, record.campaign_id):
            by_key.setdefault(key_of(record), []).append(record)
    intervals = sum(map(has_uplift, by_key.values()))
    return [Row(key=key, counts=combine(records, max(1, intervals))) for key, records in sorted(by_key.items())]


def standings(
    evidence: Mapping[str, Mapping[str, Mapping[str, ArmStatistics]]],
    playbook: Playbook | None,
    campaign: str | None = None,
) -> list[Standing]:
    """Returns every arm with data, by campaign and target group, the most likely next choice first.

    The chances are those with which the policy would draw now. Arms removed from the playbook stay, with a chance of 0.
    """
    result: list[Standing] = []
    for campaign_id, contexts in sorted(evidence.items()):
        if campaign not in (None, campaign_id):
            continue
        for group, statistics in sorted(contexts.items()):
            chances = _chances(playbook, campaign_id, statistics)
            all_arms = dict.fromkeys([*chances, *sorted(statistics)])
            group_standings = [
                _standing(statistics.get(arm) or ArmStatistics(arm=arm), campaign_id, group, chances)
                for arm in all_arms
            ]
            result += sorted(group_standings, key=lambda standing: (-(standing.chance or 0.0), standing.arm))
    return result


def _chances(playbook: Playbook | None, campaign_id: str, statistics: Mapping[str, ArmStatistics]) -> dict[str, float]:
    campaign = playbook.campaigns.get(campaign_id) if playbook is not None else None
    if playbook is None or campaign is None:
        return {}
    learning = playbook.policy.learning
    return bandit.probabilities(statistics, arms.names(campaign), learning.epsilon, learning.prior_trials)


def _standing(statistics: ArmStatistics, campaign_id: str, group: str, chances: Mapping[str, float]) -> Standing:
    return Standing(
        campaign_id=campaign_id,
        target_group=group,
        arm=statistics.arm,
        trials=statistics.trials,
        pending=statistics.pending,
        mean_reward=statistics.rewards / statistics.trials if statistics.trials > 0 else None,
        chance=chances.get(statistics.arm, 0.0) if chances else None,
    )


#: An arm is losing if its chance is below this fraction of a uniform choice's.
_LOSING = 0.5


def losing_arms(
    playbook: Playbook, evidence: Mapping[str, Mapping[str, Mapping[str, ArmStatistics]]]
) -> frozenset[tuple[str, str, str]]:
    """Returns (campaign, target group, arm) for every arm drawn less than half as often as in a uniform choice."""
    return frozenset(
        (standing.campaign_id, standing.target_group, standing.arm)
        for standing in standings(evidence, playbook)
        if standing.chance is not None
        and standing.campaign_id in playbook.campaigns
        and standing.chance < _LOSING / len(arms.names(playbook.campaigns[standing.campaign_id]))
    )
