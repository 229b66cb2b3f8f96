"""Up to when a lane knows its source: the ends that the broker told of, and our own time when it was asked."""

from __future__ import annotations

import pytest

from workers.adapters.lanes.horizon import NEVER_S, Horizon

HOLD_S = 5.0


def test_nothing_is_known_before_an_end_is_reached() -> None:
    horizon = Horizon(HOLD_S)
    assert horizon.reached_s(0) == NEVER_S
    horizon.ended(10, 1.0)
    assert horizon.reached_s(9) == NEVER_S
    assert horizon.reached_s(10) == 1.0


def test_an_empty_source_is_known_as_soon_as_the_broker_says_so() -> None:
    horizon = Horizon(HOLD_S)
    horizon.ended(0, 1.0)
    assert horizon.reached_s(0) == 1.0


def test_a_broker_that_is_silent_makes_what_is_known_old() -> None:
    horizon = Horizon(HOLD_S)
    horizon.ended(10, 1.0)
    assert [horizon.reached_s(10) for _ in range(3)] == [1.0, 1.0, 1.0]


def test_what_an_open_transaction_hides_is_not_known_until_it_ends() -> None:
    horizon = Horizon(HOLD_S)
    horizon.ended(10, 1.0)
    assert horizon.reached_s(10) == 1.0
    for requested_at_s in (2.0, 3.0, 60.0):  # the position stands before the transaction
        horizon.ended(14, requested_at_s)
        assert horizon.reached_s(10) == 1.0
    assert horizon.reached_s(14) == 60.0, "records, markers and all"


@pytest.mark.parametrize("lag_s", [0.0, 1.0, 4.0])
def test_under_a_load_that_never_ends_a_small_lag_stays_a_small_one(lag_s: float) -> None:
    horizon = Horizon(HOLD_S)
    behind_s = []
    for step in range(6000):  # a minute, an answer each 10 ms, 10 records each
        now_s = step / 100
        horizon.ended(10 * step, now_s)
        known_s = horizon.reached_s(int(10 * (step - 100 * lag_s)))
        if now_s > lag_s + 1.0:
            behind_s.append(now_s - known_s)
    assert max(behind_s) <= lag_s + 0.5


def test_a_lag_that_is_too_long_is_told_as_such_and_takes_no_memory() -> None:
    horizon = Horizon(HOLD_S)
    for step in range(100_000):
        horizon.ended(step, step / 100)
        assert horizon.reached_s(0) <= 0.0
    assert len(horizon._ends) <= 64
    assert horizon.reached_s(100_000) == 999.99


def test_an_end_that_went_back_is_never_more_than_was_known() -> None:
    horizon = Horizon(HOLD_S)
    horizon.ended(10, 1.0)
    horizon.ended(5, 2.0)  # the topic was made anew
    assert horizon.reached_s(7) == NEVER_S
