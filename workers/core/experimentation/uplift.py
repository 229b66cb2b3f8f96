"""Estimates how many more customers bought because of a campaign, against its control group, with an always valid interval.

The unit is the customer, because the control group is drawn by customer: each counts once in `PERIOD_S`, with the first
message that was requested or held out, and only when its attribution window is over. Nothing that the customer does later,
and no number of further messages, changes either group's size.

Strata are the time windows in which customers entered, so that switching the control group on or off, or resizing it, has no
effect of its own: a window without one of the two groups adds nothing. The difference is that of Mantel and Haenszel; its
variance is that of the Cochran-Mantel-Haenszel test, which is exact by permutation where there is no effect, moved along
with the difference (a score interval, after Miettinen and Nurminen, Statistics in Medicine 4, 1985).

Periods share customers, who tend to repeat what they did before. No bound on their correlation is assumed: the standard
errors of periods are added as if perfectly correlated, so more periods never make an interval narrower than that of one.

The interval holds at all looks simultaneously (an always valid interval, from a normal mixture over the true difference: Robbins,
1970; Johari et al., "Always valid inference", Operations Research 70, 2022; Waudby-Smith et al., "Time-uniform central
limit theory and asymptotic confidence sequences", Annals of Statistics 52, 2024).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import log, sqrt
from typing import NamedTuple

from schemas.learning import Estimate

#: A customer counts once per period [s]; periods begin on Mondays, 00:00 UTC.
PERIOD_S = 28 * 86_400.0
#: 1970-01-05, a Monday [s since the epoch].
_FIRST_MONDAY_S = 4 * 86_400.0
#: Maximum probability that the interval misses the true value at any look.
_ALPHA = 0.05
#: The effect [share of customers] for which the intervals are tuned to be narrowest; they hold for every other.
_EFFECT = 0.05
#: No difference is reported before each group has this many customers: the law of large numbers does not hold below.
MIN_CUSTOMERS = 10
#: Consecutive windows are merged until they hold this many customers: a window with a single one allows no comparison.
_MIN_STRATUM = 50
#: Bisection steps: an end of an interval is exact to 2^-26 of the range searched.
_HALVINGS = 26


class Groups(NamedTuple):
    """Customers of a time window: how many were to get a message, how many were held out, and how many of each bought."""

    requested: int = 0
    requested_converted: int = 0
    holdout: int = 0
    holdout_converted: int = 0

    def plus(self, other: Groups) -> Groups:
        """Returns the sum of both."""
        return Groups(
            self.requested + other.requested,
            self.requested_converted + other.requested_converted,
            self.holdout + other.holdout,
            self.holdout_converted + other.holdout_converted,
        )


class _Period(NamedTuple):
    """Sums over the strata of a period that have both groups.

    `weight` = Σ n₁n₀/n, `gain` = Σ (y₁n₀ - y₀n₁)/n. The variance of `gain` at a difference δ is `flat` + `tilt` δ + `bend` δ²,
    with that against a group in which no one buys as a lower bound.
    """

    weight: float
    gain: float
    flat: float
    tilt: float
    bend: float
    requested: int
    holdout: int

    def sd(self, difference: float) -> float:
        """Returns the standard deviation of `gain` if this were the true difference."""
        size = min(abs(difference), 1.0)
        least = self.weight * self.weight * size * (1.0 - size) / max(self.requested, self.holdout)
        return sqrt(max(self.flat + self.tilt * difference + self.bend * difference * difference, least))


def period_of(at_s: float) -> int:
    """Returns the number of the period that holds a moment [s since the epoch].

    >>> period_of(1_710_719_999), period_of(1_710_720_000)
    (706, 707)
    """
    return int((at_s - _FIRST_MONDAY_S) // PERIOD_S)


def period_end_s(period: int) -> float:
    """Returns when a period ends [s since the epoch].

    >>> period_end_s(706)
    1710720000.0
    """
    return _FIRST_MONDAY_S + (period + 1) * PERIOD_S


def uplift(windows: Mapping[float, Groups], intervals: int = 1) -> Estimate | None:
    """Returns the share of customers who bought among `requested` minus that among `holdout`, in [-1, 1], with its 95 % interval.

    `windows`: start of a window of decision time [s since the epoch] → its customers. `intervals`: how many intervals must
    hold simultaneously (Bonferroni). None if there are too few customers to compare.

    >>> estimate = uplift({0.0: Groups(18_000, 2_340, 2_000, 200)})
    >>> round(estimate.value, 3), round(estimate.low, 3), round(estimate.high, 3)
    (0.03, 0.006, 0.051)
    """
    periods = [period for strata in _strata(windows) if (period := _summed(strata)) is not None]
    fewest = min(sum(period.requested for period in periods), sum(period.holdout for period in periods))
    if fewest < MIN_CUSTOMERS:
        return None
    weight = sum(period.weight for period in periods)
    value = sum(period.gain for period in periods) / weight
    evidence = 2.0 * log(intervals / _ALPHA)

    def margin(difference: float) -> float:
        variance = (sum(period.sd(difference) for period in periods) / weight) ** 2
        if variance == 0.0:
            return 0.0
        ratio = variance / (_EFFECT * _EFFECT)
        return sqrt(variance * (1.0 + ratio) * (log(1.0 + 1.0 / ratio) + evidence))

    return Estimate(value=value, low=_edge(value, -1.0, margin), high=_edge(value, 1.0, margin))


def _edge(value: float, limit: float, margin: Callable[[float], float]) -> float:
    """Returns the difference between `value` and `limit` whose distance from `value` equals its margin."""
    inside, outside = value, limit
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2.0
        if abs(value - middle) <= margin(middle):
            inside = middle
        else:
            outside = middle
    return outside


def _strata(windows: Mapping[float, Groups]) -> Iterable[list[Groups]]:
    """Returns the strata of each period, in time order."""
    found: dict[int, list[Groups]] = {}
    for start_s in sorted(windows):
        strata = found.setdefault(period_of(start_s), [])
        if strata and strata[-1].requested + strata[-1].holdout < _MIN_STRATUM:
            strata[-1] = strata[-1].plus(windows[start_s])
        else:
            strata.append(windows[start_s])
    return found.values()


def _summed(strata: Iterable[Groups]) -> _Period | None:
    """Returns the sums over the strata of one period; None = no stratum has both groups."""
    weight = gain = flat = tilt = bend = 0.0
    requested = holdout = 0
    for stratum in strata:
        n1, n0 = stratum.requested, stratum.holdout
        if not n1 or not n0:
            continue
        y1, y0 = min(stratum.requested_converted, n1), min(stratum.holdout_converted, n0)
        n, y = n1 + n0, y1 + y0
        own = n1 * n0 / n
        weight += own
        gain += (y1 * n0 - y0 * n1) / n
        flat += own * y * (n - y) / (n * (n - 1))
        tilt += own * (n0 - n1) * (1.0 - 2.0 * y / n) / n
        bend -= own * (n1**3 + n0**3) / n**3
        requested += n1
        holdout += n0
    return _Period(weight, gain, flat, tilt, bend, requested, holdout) if weight else None
