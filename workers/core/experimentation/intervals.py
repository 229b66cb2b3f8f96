"""Computes rates with 95 % intervals that also hold for small counts and near 0 and 1."""

from __future__ import annotations

from math import sqrt

from schemas.learning import Estimate

#: The 97.5 % point of the normal distribution: 95 % two-sided.
_Z = 1.959963984540054


def wilson(successes: int, trials: int) -> Estimate:
    """Returns a rate in [0, 1] with Wilson's score interval, without continuity correction.

    Source: Wilson, 1927; "method 3" of Newcombe, "Two-sided confidence intervals for the single proportion", Statistics
    in Medicine 17, 1998, whose example this is. Raises ValueError unless 0 <= successes <= trials and trials > 0.

    >>> rate = wilson(81, 263)
    >>> round(rate.value, 4), round(rate.low, 4), round(rate.high, 4)
    (0.308, 0.2553, 0.3662)
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} of {trials} is not a rate")
    rate, square = successes / trials, _Z * _Z
    centre = rate + square / (2 * trials)
    margin = _Z * sqrt(rate * (1 - rate) / trials + square / (4 * trials * trials))
    whole = 1 + square / trials
    return Estimate(
        value=rate,  # the exact ends: rounding must not leave a rate outside its own interval
        low=0.0 if successes == 0 else (centre - margin) / whole,
        high=1.0 if successes == trials else (centre + margin) / whole,
    )
