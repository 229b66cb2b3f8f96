"""A lane's clock is the wall's as long as the broker does not contradict it; a state from the future is refused."""

from __future__ import annotations

import pytest

from workers.adapters.lanes.broker_time import PROBE_INTERVAL_S, BrokerTime
from workers.core.errors import Misconfigured

TOLERANCE_S = 60.0
NOW_S, MONTH_S = 1_800_000_000.0, 30 * 86_400.0


@pytest.fixture
def observed() -> BrokerTime:
    """The broker said `NOW_S` when our steady clock said 100."""
    time = BrokerTime(TOLERANCE_S)
    time.observe(NOW_S, 100.0)
    return time


@pytest.mark.parametrize(
    ("wall_s", "expected"),
    [
        (NOW_S + 10.0, NOW_S + 10.0),
        (NOW_S - 3600.0, NOW_S - 3600.0),  # the broker alone takes the clock nowhere
        (NOW_S + 10.0 + TOLERANCE_S, NOW_S + 10.0 + TOLERANCE_S),
        (NOW_S + 3600.0, NOW_S + 10.0 + TOLERANCE_S),
        (NOW_S + MONTH_S, NOW_S + 10.0 + TOLERANCE_S),
    ],
)
def test_the_wall_is_believed_up_to_the_tolerance_beyond_the_broker(
    observed: BrokerTime, wall_s: float, expected: float
) -> None:
    assert observed.bounded(wall_s, 110.0) == expected


def test_a_broker_whose_clock_is_ahead_changes_nothing() -> None:
    time = BrokerTime(TOLERANCE_S)
    time.observe(NOW_S + MONTH_S, 100.0)
    assert time.bounded(NOW_S, 100.0) == NOW_S


def test_a_broker_that_stamps_nothing_is_asked_once_and_bounds_nothing() -> None:
    time = BrokerTime(TOLERANCE_S)
    assert time.must_probe(NOW_S, 100.0)
    assert not any(time.must_probe(NOW_S, steady_s) for steady_s in (100.0, 1_000.0, 1e9))
    assert time.bounded(NOW_S + MONTH_S, 100.0) == NOW_S + MONTH_S
    assert time.start_s("0", NOW_S + MONTH_S, NOW_S, 100.0, reset=False) == NOW_S + MONTH_S


def test_the_broker_is_asked_when_the_wall_contradicts_it_and_not_more_often_than_it_must(observed: BrokerTime) -> None:
    assert not observed.must_probe(NOW_S + TOLERANCE_S, 100.0)
    assert observed.must_probe(NOW_S + MONTH_S, 101.0)
    assert not observed.must_probe(NOW_S + MONTH_S, 101.0 + PROBE_INTERVAL_S - 1.0)
    assert observed.must_probe(NOW_S + MONTH_S, 101.0 + PROBE_INTERVAL_S)


def test_a_machine_that_was_suspended_goes_on_with_the_right_time(observed: BrokerTime) -> None:
    woken_s = NOW_S + 7200.0  # the steady clock stood still meanwhile
    assert observed.must_probe(woken_s, 101.0)
    observed.observe(woken_s, 101.0)
    assert observed.bounded(woken_s, 101.0) == woken_s


def test_hours_without_a_commit_ask_nothing(observed: BrokerTime) -> None:
    assert not any(observed.must_probe(NOW_S + 3600.0 * hour, 100.0 + 3600.0 * hour) for hour in range(100))


@pytest.mark.parametrize("ahead_s", [-MONTH_S, 0.0, TOLERANCE_S, 2 * TOLERANCE_S])
def test_a_state_of_the_past_or_at_its_bound_goes_on_where_it_was(observed: BrokerTime, ahead_s: float) -> None:
    for reset in (False, True):
        assert observed.start_s("3", NOW_S + ahead_s, NOW_S, 100.0, reset=reset) == NOW_S + ahead_s


def test_a_state_from_the_future_is_refused_with_lane_times_and_cure(observed: BrokerTime) -> None:
    with pytest.raises(Misconfigured) as refused:
        observed.start_s("3", NOW_S + MONTH_S, NOW_S, 100.0, reset=False)
    said = str(refused.value)
    for part in ("lane 3", "2027-02-14 08:00:00 UTC", "2027-01-15 08:00:00 UTC", "ATTUNE_RESET_CLOCK=1"):
        assert part in said


@pytest.mark.parametrize("wall_s", [NOW_S, NOW_S - 3600.0, NOW_S + MONTH_S])
def test_set_back_it_goes_on_with_todays_time_within_the_tolerance(observed: BrokerTime, wall_s: float) -> None:
    assert observed.start_s("3", NOW_S + MONTH_S, wall_s, 100.0, reset=True) == min(wall_s, NOW_S + TOLERANCE_S)
