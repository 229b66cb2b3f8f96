"""Forward decay: the same value as decaying at every step, whatever the order."""

from __future__ import annotations

import math
import random

import pytest

from workers.core import decay

DAY_S = 86_400.0


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
