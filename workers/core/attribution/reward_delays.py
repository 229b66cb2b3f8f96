"""Estimates how long rewards take: the share that arrives within a given time, learned per campaign.

An exposure that has earned nothing yet is not yet a failure: it weighs the share of rewards that come within its age.
Source of the idea: Chapelle, "Modeling delayed feedback in display advertising", KDD 2014; with an empirical distribution
in place of an exponential one.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log2

#: Before anything is known, rewards are taken to come evenly over the window; that belief weighs so many rewards.
PRIOR_REWARDS = 8.0
#: An attribution window is cut into so many slots: exposures of one slot age together.
SLOTS = 64
#: Buckets for each doubling of the delay.
_PER_DOUBLING = 2


def bucket(delay_s: float) -> int:
    """The bucket of a delay, on a scale of its logarithm from one second on; bucket 0 holds all that is shorter than √2 s.

    >>> bucket(0), bucket(60), bucket(86_400)
    (0, 11, 32)
    """
    return int(_PER_DOUBLING * log2(delay_s)) if delay_s > 1 else 0


def _edge_s(number: int) -> float:
    return 0.0 if number == 0 else float(2 ** (number / _PER_DOUBLING))


def share_within(age_s: float, window_s: float, delays: Mapping[int, int]) -> float:
    """The share of rewards that come within `age_s` of their decision, in [0, 1]; 1 from the end of the window on.

    `delays`: bucket → rewards that took so long. Within a bucket they are taken to be spread evenly.

    >>> share_within(30, 60, {}), share_within(60, 60, {}), round(share_within(30, 60, {0: 92}), 2)
    (0.5, 1.0, 0.96)
    """
    if age_s >= window_s:
        return 1.0
    if age_s <= 0:
        return 0.0
    within = PRIOR_REWARDS * age_s / window_s
    for number, rewards in sorted(delays.items()):
        first, last = _edge_s(number), _edge_s(number + 1)
        within += rewards * min(1.0, max(0.0, (age_s - first) / (last - first)))
    return min(1.0, within / (PRIOR_REWARDS + sum(delays.values())))


def slot_ms(at_s: float, window_s: float) -> int:
    """When the slot began that holds this moment [ms].

    >>> slot_ms(100.0, 64.0)
    100000
    """
    at_ms, width_ms = round(at_s * 1000), max(1, round(window_s * 1000 / SLOTS))
    return at_ms - at_ms % width_ms
