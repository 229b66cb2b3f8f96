"""The circuit breaker: who fails again and again is left alone, then tried with one call."""

from __future__ import annotations

import pytest

from workers.core.resilience.circuit_breaker import PROBE_PAUSE_S, Breaker, BreakerRule

RULE = BreakerRule()


def fail(breaker: Breaker, now_s: float, times: int = 1) -> None:
    for _ in range(times):
        breaker.failed(breaker.begin(now_s), now_s)


def opened(now_s: float = 100.0) -> Breaker:
    breaker = Breaker()
    fail(breaker, now_s, RULE.in_a_row)
    return breaker


def test_failures_in_a_row_open_it_and_one_fewer_does_not() -> None:
    breaker = Breaker()
    fail(breaker, 0.0, RULE.in_a_row - 1)
    assert (breaker.state, breaker.wait_s(0.0)) == ("closed", 0.0)
    fail(breaker, 0.0)
    assert (breaker.state, breaker.wait_s(0.0)) == ("open", RULE.first_open_s)


def test_a_success_between_begins_the_row_anew() -> None:
    breaker = Breaker()
    for _ in range(2):
        fail(breaker, 0.0, RULE.in_a_row - 1)
        breaker.succeeded(breaker.begin(0.0), 0.0)
    assert breaker.state == "closed"


def test_a_large_share_of_failures_opens_it_although_none_follow_each_other() -> None:
    breaker, calls = Breaker(), 0
    while breaker.state == "closed":
        breaker.succeeded(breaker.begin(calls), calls)
        fail(breaker, calls)
        calls += 2
        assert calls <= RULE.min_calls
    assert calls == RULE.min_calls


@pytest.mark.parametrize(("gap_s", "state"), [(1.0, "open"), (RULE.window_s, "closed")])
def test_only_the_calls_of_the_window_count(gap_s: float, state: str) -> None:
    breaker = Breaker()
    for number in range(RULE.min_calls):
        now_s = number * gap_s
        token = breaker.begin(now_s)
        if number % 2:
            breaker.failed(token, now_s)
        else:
            breaker.succeeded(token, now_s)
    assert breaker.state == state


def test_when_its_time_is_up_one_probe_goes_and_nobody_else() -> None:
    breaker = opened(100.0)
    assert breaker.wait_s(100.5) == pytest.approx(0.5)
    assert breaker.wait_s(101.0) == 0.0
    breaker.begin(101.0)
    assert (breaker.state, breaker.wait_s(101.0)) == ("half_open", PROBE_PAUSE_S)


def test_a_good_probe_closes_it() -> None:
    breaker = opened(100.0)
    assert breaker.succeeded(breaker.begin(101.0), 101.2)
    assert (breaker.state, breaker.wait_s(101.2)) == ("closed", 0.0)


def test_a_failed_probe_doubles_the_time_up_to_a_limit() -> None:
    breaker, now_s = opened(), 100.0
    waits = []
    for _ in range(7):
        waits.append(breaker.wait_s(now_s))
        now_s += waits[-1]
        fail(breaker, now_s)
    assert waits == [1, 2, 4, 8, 16, RULE.max_open_s, RULE.max_open_s]


def test_a_server_that_flaps_is_left_alone_longer_and_a_calm_one_is_forgiven() -> None:
    for calm_s, expected in ((1.0, 2.0), (RULE.window_s + 1.0, RULE.first_open_s)):
        breaker = opened(100.0)
        breaker.succeeded(breaker.begin(101.0), 101.0)
        fail(breaker, 101.0 + calm_s, RULE.in_a_row)
        assert breaker.wait_s(101.0 + calm_s) == expected


def test_the_servers_own_time_is_kept_when_it_is_longer() -> None:
    breaker = Breaker()
    assert breaker.failed(breaker.begin(0.0), 0.0, retry_after_s=7.0)
    assert breaker.wait_s(0.0) == 7.0
    breaker.failed(breaker.begin(7.0), 7.0, retry_after_s=0.5)
    assert breaker.wait_s(7.0) == 2.0


def test_a_probe_that_says_nothing_leaves_its_place_to_the_next() -> None:
    breaker = opened(100.0)
    breaker.abandoned(breaker.begin(101.0), 101.5)
    assert (breaker.state, breaker.wait_s(101.5)) == ("open", 0.0)


def test_calls_from_before_do_not_close_or_prolong_it() -> None:
    breaker = Breaker()
    old = breaker.begin(0.0)
    fail(breaker, 0.0, RULE.in_a_row)
    assert not breaker.succeeded(old, 0.5)
    assert not breaker.failed(old, 0.5)
    breaker.abandoned(old, 0.5)
    assert (breaker.state, breaker.wait_s(0.5)) == ("open", 0.5)
    probe = breaker.begin(1.0)
    breaker.succeeded(old, 1.1)
    assert breaker.state == "half_open"
    assert breaker.succeeded(probe, 1.2)


def test_switched_off_it_never_opens() -> None:
    breaker = Breaker(BreakerRule(enabled=False))
    fail(breaker, 0.0, 100)
    breaker.trip(0.0)
    breaker.failed(breaker.begin(0.0), 0.0, retry_after_s=9.0)
    assert (breaker.state, breaker.wait_s(0.0)) == ("closed", 0.0)
