"""Estimates how many more customers bought because of a campaign, against its control group, with an interval that holds.

The unit is the customer, as the control group is drawn by customers: each counts once in `PERIOD_S`, with the first message
that was asked for or held out, and only when its attribution window is over. Whatever the customer does later, and however
many messages follow, changes neither group's size.

Strata are the windows of time in which customers came in, so that a control group that is switched on, off or resized tells
nothing of its own: a window without one of the two groups adds nothing. The difference is Mantel and Haenszel's; its
variance is that of the Cochran-Mantel-Haenszel test, which is exact by permutation where there is no effect, moved along
with the difference (a score interval, after Miettinen and Nurminen, Statistics in Medicine 4, 1985).

Periods share customers, who tend to do again what they did before. Nothing is assumed of how closely: the standard errors
of periods are added up as if they moved together, so more periods make no interval narrower than the data of one.

The interval holds at all looks together (an always valid interval, from a normal mixture over the true difference: Robbins,
1970; Johari et al., "Always valid inference", Operations Research 70, 2022; Waudby-Smith et al., "Time-uniform central
limit theory and asymptotic confidence sequences", Annals of Statistics 52, 2024).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import log, sqrt
from typing import NamedTuple

from schemas.learning import Estimate

#: A customer counts once in such a time [s]; periods begin on Mondays, 00:00 UTC.
PERIOD_S = 28 * 86_400.0
#: 1970-01-05, a Monday [s since the epoch].
_FIRST_MONDAY_S = 4 * 86_400.0
#: All looks at one interval together miss the truth at most so often.
_ALPHA = 0.05
#: The effect [share of customers] for which the intervals are made to be the narrowest; they hold for every other.
_EFFECT = 0.05
#: No difference is told before each group has so many customers: below, no rule of large numbers holds.
LEAST_CUSTOMERS = 10
#: Windows that follow each other are put together until they hold so many customers: of a window with a single one,
#: nothing could be compared.
_LEAST_STRATUM = 50
#: An end of an interval is known to 2^-26.
_HALVINGS = 26


class Groups(NamedTuple):
    """Customers of a window of time: how many were to hear something, how many were held out, and who of them bought."""

    requested: int = 0
    requested_converted: int = 0
    holdout: int = 0
    holdout_converted: int = 0

    def plus(self, other: Groups) -> Groups:
        """The sums of two."""
        return Groups(
            self.requested + other.requested,
            self.requested_converted + other.requested_converted,
            self.holdout + other.holdout,
            self.holdout_converted + other.holdout_converted,
        )


class _Period(NamedTuple):
    """Sums over the strata of a period that have both groups: `weight` = Σ n₁n₀/n, `gain` = Σ (y₁n₀ - y₀n₁)/n. The variance
    of `gain` at a difference δ is `flat` + `tilt` δ + `bend` δ², and never below that beside a group in which nobody buys.
    """

    weight: float
    gain: float
    flat: float
    tilt: float
    bend: float
    requested: int
    holdout: int

    def sd(self, difference: float) -> float:
        """The standard deviation of `gain` if this were the true difference."""
        size = min(abs(difference), 1.0)
        least = self.weight * self.weight * size * (1.0 - size) / max(self.requested, self.holdout)
        return sqrt(max(self.flat + self.tilt * difference + self.bend * difference * difference, least))


def period_of(at_s: float) -> int:
    """The number of the period that holds a moment [s since the epoch].

    >>> period_of(1_710_719_999), period_of(1_710_720_000)
    (706, 707)
    """
    return int((at_s - _FIRST_MONDAY_S) // PERIOD_S)


def period_end_s(period: int) -> float:
    """When a period is over [s since the epoch].

    >>> period_end_s(706)
    1710720000.0
    """
    return _FIRST_MONDAY_S + (period + 1) * PERIOD_S


def uplift(windows: Mapping[float, Groups], intervals: int = 1) -> Estimate | None:
    """Share of customers who bought among `requested` minus that among `holdout`, in [-1, 1], with its 95 % interval.

    `windows`: when a window of decision time began [s since the epoch] → its customers. `intervals`: so many are to hold
    together (Bonferroni). None where there are too few to compare.

    >>> told = uplift({0.0: Groups(18_000, 2_340, 2_000, 200)})
    >>> round(told.value, 3), round(told.low, 3), round(told.high, 3)
    (0.03, 0.006, 0.051)
    """
    periods = [period for strata in _strata(windows) if (period := _summed(strata)) is not None]
    fewest = min(sum(period.requested for period in periods), sum(period.holdout for period in periods))
    if fewest < LEAST_CUSTOMERS:
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
    """The difference between `value` and `limit` that is just as far from `value` as its margin allows."""
    inside, outside = value, limit
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2.0
        if abs(value - middle) <= margin(middle):
            inside = middle
        else:
            outside = middle
    return outside


def _strata(windows: Mapping[float, Groups]) -> Iterable[list[Groups]]:
    """For each period its strata in the order of time."""
    found: dict[int, list[Groups]] = {}
    for start_s in sorted(windows):
        strata = found.setdefault(period_of(start_s), [])
        if strata and strata[-1].requested + strata[-1].holdout < _LEAST_STRATUM:
            strata[-1] = strata[-1].plus(windows[start_s])
        else:
            strata.append(windows[start_s])
    return found.values()


def _summed(strata: Iterable[Groups]) -> _Period | None:
    """None = no stratum has both groups."""
    weight = gain = flat = tilt = bend = 0.0
    requested = holdout = 0
    for told in strata:
        n1, n0 = told.requested, told.holdout
        if not n1 or not n0:
            continue
        y1, y0 = min(told.requested_converted, n1), min(told.holdout_converted, n0)
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
