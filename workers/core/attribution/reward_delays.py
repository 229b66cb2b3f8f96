"""Estimates how long rewards take: the share that arrives within a given time, learned per campaign.

An exposure that has earned nothing is not yet a failure: its weight is the share of rewards that arrive within its age.
Based on Chapelle, "Modeling delayed feedback in display advertising", KDD 2014, with an empirical distribution instead of
an exponential one.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log2

#: Weight of the prior, in rewards. The prior is that rewards arrive evenly over the window.
PRIOR_REWARDS = 8.0
#: Slots per attribution window; exposures of one slot age together.
SLOTS = 64
#: Buckets per doubling of the delay.
_PER_DOUBLING = 2


def bucket(delay_s: float) -> int:
    """Returns the bucket of a delay on a logarithmic scale from one second up; bucket 0 holds all delays below √2 s.

    >>> bucket(0), bucket(60), bucket(86_400)
    (0, 11, 32)
    """
    return int(_PER_DOUBLING * log2(delay_s)) if delay_s > 1 else 0


def _edge_s(number: int) -> float:
    return 0.0 if number == 0 else float(2 ** (number / _PER_DOUBLING))


def share_within(age_s: float, window_s: float, delays: Mapping[int, int]) -> float:
    """Returns the share of rewards that arrive within `age_s` of their decision, in [0, 1]; 1 once the window is over.

    `delays`: bucket → number of rewards, taken to be spread evenly within the bucket.

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
    """Returns the start of the slot that holds this moment [ms].

    >>> slot_ms(100.0, 64.0)
    100000
    """
    at_ms, width_ms = round(at_s * 1000), max(1, round(window_s * 1000 / SLOTS))
    return at_ms - at_ms % width_ms
