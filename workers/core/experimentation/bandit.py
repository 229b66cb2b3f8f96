"""Computes the probability with which each arm is to be chosen by Thompson sampling: its probability of being the best.

Rewards of an arm are modelled as normally distributed around its unknown mean; by the central limit theorem the posterior of
the mean is close to normal after a few trials, whatever the rewards are (Agrawal and Goyal, 2013, "Further optimal regret
bounds for Thompson sampling"). Computing the probabilities, instead of drawing from the posteriors, makes the propensity
of every decision exact and the decision repeatable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from statistics import NormalDist

import msgspec

from schemas.learning import ArmStatistics

#: Reward variance before there is evidence: that of a fair coin.
_PRIOR_VARIANCE = 0.25
#: Lower bound of the reward variance, whatever the evidence.
_MIN_VARIANCE = 1e-3
#: Points of the quadrature, the midpoints of equally likely slices of a posterior.
_SLICES = 128
_POINTS = [NormalDist().inv_cdf((slice_ + 0.5) / _SLICES) for slice_ in range(_SLICES)]


class Posterior(msgspec.Struct, frozen=True, kw_only=True):
    """The posterior of an arm's mean reward, a normal distribution. `trials` is the evidence it is based on."""

    mean: float
    sd: float
    trials: float = 0.0


def posteriors(
    statistics: Mapping[str, ArmStatistics], arms: Sequence[str], prior_trials: float
) -> dict[str, Posterior]:
    """Returns the posterior of each of `arms`.

    Arms without evidence get the common prior: the mean reward over all arms, with the weight of `prior_trials` trials
    (> 0). Evidence for arms that are not in `arms` is ignored.

    >>> known = {"a": ArmStatistics(arm="a", trials=96, rewards=48, reward_squares=48)}
    >>> {arm: round(p.mean, 2) for arm, p in posteriors(known, ["a", "b"], 4).items()}
    {'a': 0.5, 'b': 0.5}
    """
    known = [statistics[arm] for arm in arms if arm in statistics]
    trials = sum(max(arm.trials, 0.0) for arm in known)
    mean = sum(arm.rewards for arm in known) / trials if trials > 0 else 0.0
    spread = sum(arm.reward_squares for arm in known) - trials * mean * mean
    variance = max((spread + prior_trials * _PRIOR_VARIANCE) / (trials + prior_trials), _MIN_VARIANCE)
    found = {}
    for arm in arms:
        own = statistics.get(arm, ArmStatistics(arm=arm))
        weight = max(own.trials, 0.0) + prior_trials
        found[arm] = Posterior(
            mean=(own.rewards + prior_trials * mean) / weight, sd=(variance / weight) ** 0.5, trials=own.trials
        )
    return found


def chances_to_be_best(believed: Mapping[str, Posterior]) -> dict[str, float]:
    """Returns arm → P(its mean is the largest), by quadrature over the arm's own posterior; they sum to 1."""
    normals = {arm: NormalDist(posterior.mean, posterior.sd) for arm, posterior in believed.items()}
    raw = {}
    for arm, own in normals.items():
        others = [normal.cdf for name, normal in normals.items() if name != arm]
        total = 0.0
        for point in _POINTS:
            at, chance = own.mean + own.stdev * point, 1.0
            for cdf in others:
                chance *= cdf(at)
            total += chance
        raw[arm] = total
    whole = sum(raw.values())
    return {arm: chance / whole for arm, chance in raw.items()} if whole > 0 else dict.fromkeys(raw, 1 / len(raw))


def probabilities(
    statistics: Mapping[str, ArmStatistics], arms: Sequence[str], epsilon: float, prior_trials: float
) -> dict[str, float]:
    """Returns arm → the probability with which to choose it: that of being the best, with a floor of epsilon / arms.

    They sum to 1. Without evidence all are equal.

    >>> probabilities({}, ["a", "b"], 0.1, 4)
    {'a': 0.5, 'b': 0.5}
    """
    if len(arms) == 1:
        return {arms[0]: 1.0}
    known = tuple(statistics.get(arm, ArmStatistics(arm=arm)) for arm in arms)
    return dict(_probabilities(known, epsilon, prior_trials))


@lru_cache(maxsize=4096)
def _probabilities(known: tuple[ArmStatistics, ...], epsilon: float, prior_trials: float) -> dict[str, float]:
    """Cached, because one snapshot serves many decisions: half a millisecond once, not for each of them."""
    statistics = {arm.arm: arm for arm in known}
    best = chances_to_be_best(posteriors(statistics, list(statistics), prior_trials))
    return {arm: (1 - epsilon) * chance + epsilon / len(known) for arm, chance in best.items()}


def add_up(statistics: Iterable[ArmStatistics]) -> dict[str, dict[str, ArmStatistics]]:
    """Returns context → arm → the sum over partitions."""
    found: dict[str, dict[str, ArmStatistics]] = {}
    for part in statistics:
        arms = found.setdefault(part.context, {})
        so_far = arms.get(part.arm)
        arms[part.arm] = part if so_far is None else _sum(so_far, part)
    return found


def _sum(one: ArmStatistics, other: ArmStatistics) -> ArmStatistics:
    return ArmStatistics(
        arm=one.arm,
        context=one.context,
        trials=one.trials + other.trials,
        pending=one.pending + other.pending,
        rewards=one.rewards + other.rewards,
        reward_squares=one.reward_squares + other.reward_squares,
    )
