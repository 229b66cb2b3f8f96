"""Computes the numbers of the tables: percentiles, medians with their spread, ratios."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec


class Spread(msgspec.Struct, frozen=True):
    """A median with minimum and maximum."""

    median: float
    low: float
    high: float
    runs: int


def spread(values: Sequence[float]) -> Spread:
    """Returns median, minimum and maximum. Raises ValueError without values.

    >>> spread([3.0, 1.0, 2.0])
    Spread(median=2.0, low=1.0, high=3.0, runs=3)
    """
    if not values:
        raise ValueError("no runs")
    return Spread(statistics.median(values), min(values), max(values), len(values))


def percentile(values: Sequence[float], share: float) -> float:
    """Returns the smallest value that at least `share` of the values do not exceed (nearest rank). Raises ValueError if empty.

    >>> percentile([40.0, 10.0, 20.0, 30.0], 0.5), percentile([1.0], 0.99)
    (20.0, 1.0)
    """
    if not values:
        raise ValueError("no values")
    if not 0 < share <= 1:
        raise ValueError("a share is in (0, 1]")
    ordered = sorted(values)
    rank = -(-len(ordered) * share // 1)  # rounded up
    return ordered[int(rank) - 1]


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Returns the ratio of ours to theirs, run by run, so that runs of the same minute are compared. Raises ValueError if empty.

    >>> paired_ratio([10.0, 30.0], [5.0, 10.0])
    Spread(median=2.5, low=2.0, high=3.0, runs=2)
    """
    return spread([a / b for a, b in zip(ours, theirs, strict=False)])


def per_100k(cpu_s: float, events: int) -> float:
    """Returns the CPU time for 100,000 events [s].

    >>> per_100k(2.0, 50_000)
    4.0
    """
    return cpu_s * 1e5 / events
