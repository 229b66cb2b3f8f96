"""Estimates from the topics alone what the learned arms earned compared with what another policy would have earned.

Every decision records the exact probability of each arm, so the reward of another policy can be estimated from what was
logged, by inverse propensity scoring (Horvitz and Thompson, 1952), self-normalised by default (Swaminathan and Joachims, 2015).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import sqrt
from operator import add
from random import Random
from statistics import fmean

import msgspec

from schemas.learning import Estimate
from workers.core.experimentation.logged_decisions import LoggedDecision

#: Below this effective sample size no estimate is given: a few heavily weighted decisions would dominate it.
MIN_ESS = 30.0
#: Normal quantile of the 95 % interval.
_Z = 1.96


#: A policy to evaluate: decision → the probability with which it takes each arm; arms that were not possible do not count.
EvaluationPolicy = Callable[[LoggedDecision], Mapping[str, float]]
#: (decisions, sum of weights, sum of weighted rewards) → mean reward of a decision.
Estimator = Callable[[float, float, float], float]


def uniform(decision: LoggedDecision) -> Mapping[str, float]:
    """Takes every arm with equal probability: a policy that has learned nothing."""
    return dict.fromkeys(decision.propensities, 1.0 / len(decision.propensities))


def ips(decisions: float, weights: float, weighted: float) -> float:
    """Inverse propensity scoring: unbiased, with a large variance where weights are large."""
    return weighted / decisions


def snips(decisions: float, weights: float, weighted: float) -> float:
    """Self-normalised inverse propensity scoring: a small bias, and a mean that stays within the rewards."""
    return weighted / weights


def weight(decision: LoggedDecision, policy: EvaluationPolicy = uniform) -> float:
    """Returns the importance weight: the arm's probability under `policy`, divided by the one with which it was drawn."""
    return policy(decision).get(decision.arm, 0.0) / decision.propensities[decision.arm]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Mean reward per decision: `learnt` as observed, `other` as the policy compared with would have earned (estimated).

    `ess` is the effective sample size of that estimate. `difference` is `learnt` minus `other`.
    """

    decisions: int
    customers: int
    ess: float
    learnt: float
    other: float = msgspec.field(name="uniform")  # the only policy that reports compare with
    difference: Estimate


class InsufficientData(msgspec.Struct, frozen=True, kw_only=True):
    """The reason why there is no comparison."""

    decisions: int
    ess: float
    reason: str


class ArmResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one arm in one target group; `probability` is that of the newest decision. One customer gives no interval."""

    campaign_id: str
    target_group: str
    arm: str
    decisions: int
    reward: Estimate | None
    mean: float
    probability: float


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """Mean rewards of the decisions in a window that ends at `at_s` [s since the first decision]."""

    at_s: float
    decisions: int
    learnt: float
    other: float = msgspec.field(name="uniform")


def compare(
    scored: Sequence[LoggedDecision],
    rng: Random,
    resamples: int = 1000,
    *,
    policy: EvaluationPolicy = uniform,
    estimator: Estimator = snips,
) -> Comparison | InsufficientData:
    """Compares the learned arms with another policy, with a 95 % bootstrap interval of the difference.

    Resamples customers, not decisions: those of one customer are not independent. Returns InsufficientData below MIN_ESS.
    """
    ess = effective_sample_size(scored, policy)
    if ess < MIN_ESS:
        reason = f"the effective sample size is {ess:.1f}, and at least {MIN_ESS:g} is needed"
        return InsufficientData(decisions=len(scored), ess=ess, reason=reason)
    sums: dict[str, tuple[float, float, float, float]] = {}
    for one in scored:
        own = _sums(one, policy)
        so_far = sums.get(one.user_id)
        sums[one.user_id] = own if so_far is None else tuple(map(add, so_far, own))
    customers = list(sums.values())
    drawn = sorted(_difference(rng.choices(customers, k=len(customers)), estimator) for _ in range(resamples))
    learnt, other = _means(customers, estimator)
    return Comparison(
        decisions=len(scored),
        customers=len(customers),
        ess=ess,
        learnt=learnt,
        other=other,
        difference=Estimate(
            value=learnt - other,
            low=drawn[int(0.025 * resamples)],
            high=drawn[min(int(0.975 * resamples), resamples - 1)],
        ),
    )


def effective_sample_size(scored: Iterable[LoggedDecision], policy: EvaluationPolicy = uniform) -> float:
    """Returns how many equally weighted decisions would be as informative (Kish): squared sum over sum of squares."""
    weights = [weight(one, policy) for one in scored]
    squares = sum(one * one for one in weights)
    return sum(weights) ** 2 / squares if squares else 0.0


def _sums(one: LoggedDecision, policy: EvaluationPolicy) -> tuple[float, float, float, float]:
    """Returns decisions, reward, weight and weighted reward of one decision."""
    own = weight(one, policy)
    return 1.0, one.reward, own, own * one.reward


def _means(sums: Sequence[tuple[float, float, float, float]], estimator: Estimator = snips) -> tuple[float, float]:
    decisions, rewards, weights, weighted = map(sum, zip(*sums, strict=True))
    return rewards / decisions, estimator(decisions, weights, weighted) if weights else 0.0


def _difference(sums: Sequence[tuple[float, float, float, float]], estimator: Estimator) -> float:
    learnt, other = _means(sums, estimator)
    return learnt - other


def series(
    scored: Sequence[LoggedDecision],
    step_s: float = 5.0,
    window_s: float = 20.0,
    until_s: float = float("inf"),
    min_decisions: int = 10,
    *,
    policy: EvaluationPolicy = uniform,
) -> list[Point]:
    """Returns the mean reward over time: every `step_s`, of the last `window_s`. `scored` must be in time order.

    Leaves out windows with fewer than `min_decisions`, and those that end after `until_s` [s since the first decision]: their
    feedback is still arriving.
    """
    times = [one.decided_at_s - scored[0].decided_at_s for one in scored]
    points = []
    for step in range(1, int(times[-1] / step_s) + 2 if times else 0):
        at_s = step * step_s
        window = scored[bisect_left(times, at_s - window_s) : bisect_left(times, at_s)]
        if len(window) >= min_decisions and at_s <= until_s:
            learnt, other = _means([_sums(one, policy) for one in window])
            points.append(Point(at_s=at_s, decisions=len(window), learnt=learnt, other=other))
    return points


def newest_chances(scored: Iterable[LoggedDecision]) -> dict[tuple[str, str], dict[str, float]]:
    """Returns (campaign, target group) → current probability of each arm. `scored` must be in time order."""
    return {(one.campaign_id, one.target_group): one.propensities for one in scored}


def by_arm(scored: Sequence[LoggedDecision]) -> list[ArmResult]:
    """Returns the mean reward of every possible arm, per campaign and target group, with a normal 95 % interval.

    Decisions of one customer are not independent, so the variance is that of customers' sums.
    """
    earned: dict[tuple[str, str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for one in scored:
        earned[one.campaign_id, one.target_group, one.arm][one.user_id].append(one.reward)
    results = []
    for (campaign_id, group), chances in sorted(newest_chances(scored).items()):
        for arm, probability in sorted(chances.items()):
            customers = list(earned.get((campaign_id, group, arm), {}).values())
            rewards = [reward for own in customers for reward in own]
            mean = fmean(rewards) if rewards else 0.0
            margin = _Z * _standard_error(customers, mean, len(rewards)) if len(customers) > 1 else None
            results.append(
                ArmResult(
                    campaign_id=campaign_id,
                    target_group=group,
                    arm=arm,
                    decisions=len(rewards),
                    mean=mean,
                    reward=None if margin is None else Estimate(value=mean, low=mean - margin, high=mean + margin),
                    probability=probability,
                )
            )
    return results


def _standard_error(customers: Sequence[Sequence[float]], mean: float, decisions: int) -> float:
    """Returns the standard error of the mean of rewards clustered by customer (the linearised variance of a ratio)."""
    off = sum((sum(own) - mean * len(own)) ** 2 for own in customers)
    return sqrt(off * len(customers) / (len(customers) - 1)) / decisions
