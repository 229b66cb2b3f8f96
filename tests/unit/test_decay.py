"""Forward decay: the same value as decaying at every step, whatever the order."""

from __future__ import annotations

import math
import random

import pytest

from workers.core.profile import decay

DAY_S = 86_400.0
NOON = 1_709_553_600.0


def naive(times: list[float], now_s: float) -> float:
    rate = math.log(2) / decay.HALF_LIFE_S
    return sum(math.exp(-rate * (now_s - at_s)) for at_s in times)


def test_the_value_is_the_sum_of_what_each_event_is_still_worth() -> None:
    rng = random.Random(1)
    times = [rng.uniform(0, 60 * DAY_S) for _ in range(200)]
    for order in (sorted(times), sorted(times, reverse=True), times):
        landmark = order[0]
        counter = sum(decay.weight(at_s, landmark) for at_s in order)
        assert decay.value(counter, landmark, 61 * DAY_S) == pytest.approx(naive(times, 61 * DAY_S), rel=1e-9)


def test_moving_the_landmark_keeps_values_and_drops_what_has_faded() -> None:
    counters = {"recent": decay.weight(900 * DAY_S, 0.0), "faded": 1e-3}
    before = decay.value(counters["recent"], 0.0, 901 * DAY_S)
    decay.move_landmark(counters, 0.0, 900 * DAY_S)
    assert set(counters) == {"recent"}
    assert decay.value(counters["recent"], 900 * DAY_S, 901 * DAY_S) == pytest.approx(before)


def test_a_landmark_moves_before_a_weight_can_overflow() -> None:
    assert not decay.needs_new_landmark(365 * DAY_S, 0.0)
    assert decay.needs_new_landmark(365 * 5 * DAY_S, 0.0)
    assert math.isfinite(decay.weight(365 * 5 * DAY_S, 0.0))


def test_half_is_left_after_a_week_and_more_before() -> None:
    counter = decay.weight(0.0, 0.0)
    assert counter == 1.0
    values = [decay.value(counter, 0.0, days * DAY_S) for days in (0, 7, 14, 70)]
    assert values == pytest.approx([1.0, 0.5, 0.25, 2**-10])
    assert decay.weight(7 * DAY_S, 0.0) == pytest.approx(2.0)


@pytest.mark.parametrize(("days", "moves"), [(1009, False), (1010, True)])
def test_the_landmark_moves_after_two_years_and_nine_months(days: int, *, moves: bool) -> None:
    # 100 / log(2) * 7 days = 1009.9 days
    assert decay.needs_new_landmark(days * DAY_S, 0.0) is moves
    assert decay.needs_new_landmark(NOON + days * DAY_S, NOON) is moves


def test_what_has_faded_disappears_below_a_billionth() -> None:
    counters = {"kept": 1e-9, "gone": 0.999e-9}
    decay.move_landmark(counters, NOON, NOON)
    assert counters == {"kept": 1e-9}
    counters = {"halved": 1.0}
    decay.move_landmark(counters, NOON, NOON + 7 * DAY_S)
    assert counters == pytest.approx({"halved": 0.5})
