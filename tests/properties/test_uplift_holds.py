"""Worlds without an effect, and one with: how often the interval of uplift holds the truth, and what it costs.

Customers differ in how readily they buy, so several decisions of one are not independent; the control group is drawn by
customers; the season changes. Beside it stands what counting decisions came to in the same worlds: without that the worlds
would be too kind to tell the two apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import sqrt
from random import Random
from typing import Any

import msgspec
import pytest

from schemas.learning import Estimate, FeedbackMetrics
from tests.support.learning import LEARNING, Input, LearnHarness, at, decision, order
from workers.core.attribution.metrics import combine
from workers.core.experimentation.intervals import wilson
from workers.core.experimentation.uplift import Groups, period_end_s, uplift
from workers.core.reporting.standings import rows

DAY = 86_400.0
#: A Monday on which a period begins [s since the epoch].
START = period_end_s(706)
#: The mean share of occasions after which a customer buys, and how much customers differ (weight of a beta prior).
MEAN, WEIGHT = 0.1, 3.0
Shares = Callable[[int], float]
Counts = list[int]


def steady(_day: int) -> float:
    return 0.2


def switched_on(day: int) -> float:
    return 0.2 if day >= 14 else 0.0


def doubled(day: int) -> float:
    return 0.1 if day < 14 else 0.2


def world(
    rng: Random, decisions: int, share: Shares, *, customers: int = 400, days: int = 28, effect: float = 0.0
) -> tuple[list[Counts], Counts]:
    """(for each day, customers compared; decisions in all), both as requested, who bought, held out, who bought.

    The season makes the last day 1.5 times as good as the mean, and the first day half as good.
    """
    compared, decided = [[0, 0, 0, 0] for _ in range(days)], [0, 0, 0, 0]
    for _ in range(customers):
        rate, place, periods = rng.betavariate(MEAN * WEIGHT, (1 - MEAN) * WEIGHT), rng.random(), set()
        for day in sorted([int(rng.random() * days) for _ in range(decisions)]):
            held_out = place < share(day)
            bought = rng.random() < rate * (0.5 + day / days) + (0.0 if held_out else effect)
            group = 2 if held_out else 0
            decided[group] += 1
            decided[group + 1] += bought
            if share(day) and day // 28 not in periods:
                periods.add(day // 28)
                compared[day][group] += 1
                compared[day][group + 1] += bought
    return compared, decided


def looks(compared: list[Counts]) -> list[Estimate]:
    """What is told after each day, as soon as something is."""
    windows = {START + day * DAY: Groups(*counts) for day, counts in enumerate(compared)}
    found = [uplift({at_s: windows[at_s] for at_s in list(windows)[: day + 1]}) for day in range(len(compared))]
    return [told for told in found if told is not None]


def by_decisions(requested: int, bought: int, held_out: int, held_bought: int) -> Estimate:
    """Newcombe's interval for one look at independent decisions (1998, method 10)."""
    one, other = wilson(bought, requested), wilson(held_bought, held_out)
    difference = one.value - other.value
    return Estimate(
        value=difference,
        low=difference - sqrt((one.value - one.low) ** 2 + (other.high - other.value) ** 2),
        high=difference + sqrt((one.high - one.value) ** 2 + (other.value - other.low) ** 2),
    )


def holds(told: Estimate, truth: float = 0.0) -> bool:
    return told.low <= truth <= told.high


def shares_that_hold(worlds: int, decisions: int, share: Shares, days: int = 28) -> tuple[float, float]:
    """(share of worlds in which the interval holds at every daily look, and in which that of decisions does at the end)."""
    rng, ours, theirs = Random(f"{decisions} {share.__name__} {days}"), 0, 0
    for _ in range(worlds):
        compared, decided = world(rng, decisions, share, days=days)
        told = looks(compared)
        assert told, "there is something to hold"
        ours += all(map(holds, told))
        theirs += holds(by_decisions(*decided))
    return ours / worlds, theirs / worlds


WORLDS = [
    pytest.param(1, steady, 28, 0.93, 1.0, id="one decision a customer"),
    pytest.param(4, steady, 28, 0.80, 0.91, id="four"),
    pytest.param(8, steady, 28, 0.65, 0.82, id="eight"),
    pytest.param(4, switched_on, 28, 0.0, 0.85, id="a control group switched on half way"),
    pytest.param(4, doubled, 28, 0.5, 0.92, id="a control group doubled half way"),
    pytest.param(8, steady, 84, 0.65, 0.82, id="the same customers in three periods"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("decisions", "share", "days", "least", "most"), WORLDS)
def test_without_an_effect_the_interval_holds_at_every_daily_look(
    decisions: int, share: Shares, days: int, least: float, most: float
) -> None:
    ours, theirs = shares_that_hold(100 * 28 // days, decisions, share, days)
    assert ours >= 0.94
    assert least - 0.1 <= theirs <= most + 0.1, "the worlds tell customers and decisions apart"


@pytest.mark.slow
@pytest.mark.parametrize(("decisions", "share", "days", "least", "most"), WORLDS)
def test_in_two_thousand_worlds_the_interval_holds_at_every_daily_look(
    decisions: int, share: Shares, days: int, least: float, most: float
) -> None:
    ours, theirs = shares_that_hold(2_000 * 28 // days, decisions, share, days)
    assert ours >= 0.94
    assert least <= theirs <= most


@pytest.mark.slow
def test_a_true_effect_is_found_and_held_at_every_look_by_an_interval_of_reasonable_width() -> None:
    """3 points at 20,000 customers and a control group of 20 %; the width beside one look at independent customers."""
    rng, found, held, ratios, worlds = Random(5), 0, 0, [], 20
    for _ in range(worlds):
        compared, _ = world(rng, 1, steady, customers=20_000, effect=0.03)
        told = looks(compared)
        once = by_decisions(*(sum(column) for column in zip(*compared, strict=True)))
        found += told[-1].low > 0
        held += all(holds(one, 0.03) for one in told)
        ratios.append((told[-1].high - told[-1].low) / (once.high - once.low))
    assert found >= worlds - 3
    assert held >= worlds - 1
    assert max(ratios) < 1.7


@pytest.mark.slow
@pytest.mark.parametrize(("customers", "effect"), [(400, 0.1), (2_000, 0.05), (150, 0.2)])
def test_whatever_the_effect_is_the_interval_holds_it_at_every_look(customers: int, effect: float) -> None:
    rng, held = Random(3), 0
    for _ in range(100):
        compared, _ = world(rng, 2, doubled, customers=customers, effect=effect)
        held += all(holds(told, effect) for told in looks(compared))
    assert held >= 94


@pytest.mark.slow
def test_the_intervals_of_many_arms_hold_together() -> None:
    """Ten arms of which none does anything: in how many worlds does any of the ten effects look like one?"""
    rng, ours, alone, worlds = Random(7), 0, 0, 300
    for _ in range(worlds):
        made = []
        for arm in range(10):
            bought = [sum(rng.random() < MEAN for _ in range(size)) for size in (160, 40)]
            made.append(record(variation_id=f"v{arm}", **counted(160, bought[0], 40, bought[1])))
        told = [row.counts.uplift for row in rows(made, "arm")]
        ours += all(one is not None and holds(one) for one in told)
        alone += all(holds(by_decisions(*(getattr(one, name) for name in FIELDS))) for one in made)
    assert ours / worlds >= 0.94
    assert alone / worlds < 0.8


FIELDS = ("requested_customers", "requested_customers_converted", "holdout_customers", "holdout_customers_converted")


def counted(*numbers: int) -> dict[str, int]:
    return dict(zip(FIELDS, numbers, strict=True))


def record(**fields: Any) -> FeedbackMetrics:
    values: dict[str, Any] = {"campaign_id": "cart", "partition": 0, "window_start": at(START), "window_end": at(START)}
    return FeedbackMetrics(**(values | {"updated_at": at(START)} | fields))


# -- through the lane ----------------------------------------------------------------------------------------------------


def lane_world(seed: int) -> tuple[FeedbackMetrics, Counter[str]]:
    """What the lane makes of a world without an effect in which the control group is switched on half way, while business
    is brisk: (all its records together, decisions by group, and those after which somebody bought).
    """
    rng, lane, number = Random(seed), LearnHarness(LEARNING), 0
    customers = [(f"u{n}", rng.random(), rng.betavariate(MEAN * WEIGHT, (1 - MEAN) * WEIGHT)) for n in range(400)]
    decided = Counter[str]()
    for day in range(14):
        begins_s = START + day * DAY
        lane.wall_s = begins_s + DAY  # all of a day is read at its end
        share, values = (0.3 if day >= 7 else 0.0), list[Input]()
        for user, place, rate in customers:
            if rng.random() > 0.3:
                continue
            number, reason = number + 1, "holdout" if place < share else "requested"
            at_s = begins_s + rng.random() * DAY
            values.append(decision(number, at_s, user, reason, mode="live", holdout_share=share))
            decided[reason] += 1
            if rng.random() < rate * (2.0 if day >= 7 else 0.3):
                values.append(order(f"e{number}", at_s + 60, user))
                decided[f"{reason}_converted"] += 1
        rng.shuffle(values)
        lane.run(*values)
    lane.tick(START + 16 * DAY)
    lane.tick(START + 16 * DAY + 10)
    return combine(lane.metrics.values()), decided


def test_a_control_group_switched_on_half_way_shows_no_effect_where_there_is_none() -> None:
    for seed in range(3):
        told, decided = lane_world(seed)
        assert (told.requested, told.holdout) == (decided["requested"], decided["holdout"])
        assert told.holdout_converted >= decided["holdout_converted"] > 0
        assert not holds(
            by_decisions(
                decided["requested"], decided["requested_converted"], decided["holdout"], decided["holdout_converted"]
            )
        )
        assert told.uplift is not None
        assert holds(told.uplift)
        assert told.requested_customers + told.holdout_customers <= 400
        assert told.uplift.high - told.uplift.low < 0.5


def test_uplift_survives_the_wire() -> None:
    told = combine([record(**counted(900, 90, 100, 5))])
    assert msgspec.json.decode(msgspec.json.encode(told), type=FeedbackMetrics) == told
