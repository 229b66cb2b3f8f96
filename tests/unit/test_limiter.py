"""The limit of calls at one server: down on real signs of load, up again by and by, and never down without one."""

from __future__ import annotations

import pytest

from workers.core.resilience.concurrency_limit import Limiter, ServerLoad

MOST = 16


def round_of(limiter: Limiter, now_s: float, latency_s: float = 1.0) -> None:
    """As many good calls as the limit allows, all in flight together."""
    for _ in range(limiter.limit):
        limiter.succeeded(now_s, latency_s, limiter.limit)


def queue(waiting: float, running: float = 10.0, cache: float | None = 0.5) -> ServerLoad:
    return ServerLoad(running=running, waiting=waiting, kv_cache_usage=cache)


def test_it_begins_at_the_most_that_is_allowed() -> None:
    assert Limiter(MOST).limit == MOST


@pytest.mark.parametrize("latencies_s", [[1.0] * 40, [0.5, 1, 2, 4, 8, 16] * 5])
def test_a_server_that_grows_slow_but_answers_is_not_held_back(latencies_s: list[float]) -> None:
    limiter = Limiter(MOST)
    for number, latency_s in enumerate(latencies_s):
        limiter.succeeded(number, latency_s, MOST)
    assert limiter.limit == MOST


def test_a_round_of_calls_that_all_fail_cuts_it_once() -> None:
    limiter = Limiter(MOST)
    round_of(limiter, 0.0)
    for _ in range(MOST):
        limiter.overloaded(1.0)
    assert limiter.limit == int(MOST * 0.7)
    limiter.overloaded(2.5)
    assert limiter.limit == int(MOST * 0.7 * 0.7)


def test_it_never_falls_below_one_nor_rises_above_the_most() -> None:
    limiter = Limiter(MOST)
    for second in range(100):
        limiter.overloaded(second)
    assert limiter.limit == 1
    for second in range(100, 300):
        round_of(limiter, second)
    assert limiter.limit == MOST


def test_after_a_cut_it_rises_by_one_a_round() -> None:
    limiter = Limiter(MOST)
    limiter.overloaded(0.0)
    seen = []
    for second in range(1, 4):
        round_of(limiter, second)
        seen.append(limiter.limit)
    assert seen == [12, 13, 14]


def test_a_server_that_is_back_gets_one_call_and_then_quickly_more() -> None:
    limiter = Limiter(MOST)
    limiter.restarted()
    seen = [limiter.limit]
    for second in range(4):
        round_of(limiter, second)
        seen.append(limiter.limit)
    assert seen == [1, 2, 4, 8, 16]


def test_a_limit_that_is_not_in_use_does_not_rise() -> None:
    limiter = Limiter(MOST)
    limiter.overloaded(0.0)
    before = limiter.limit
    for second in range(50):
        limiter.succeeded(second, 1.0, 1)
    assert limiter.limit == before


def test_a_queue_inside_the_server_is_taken_back_when_it_stands() -> None:
    limiter = Limiter(MOST)
    limiter.load_reported(queue(waiting=10), 0.0, MOST)
    assert limiter.limit == MOST
    limiter.load_reported(queue(waiting=10), 2.0, MOST)
    assert limiter.limit == MOST // 2


@pytest.mark.parametrize(
    "load",
    [queue(waiting=0), queue(waiting=1), queue(waiting=9, running=100), queue(waiting=5, running=0)],
)
def test_a_few_that_wait_are_no_queue(load: ServerLoad) -> None:
    limiter = Limiter(MOST)
    for second in range(5):
        limiter.load_reported(load, second, MOST)
    assert limiter.limit == MOST


def test_a_queue_that_others_make_costs_nothing_while_the_limit_is_not_in_use() -> None:
    limiter = Limiter(MOST)
    for second in range(5):
        limiter.load_reported(queue(waiting=50), second, 1)
    assert limiter.limit == MOST


@pytest.mark.parametrize("load", [queue(waiting=1), queue(waiting=0, cache=0.97)])
def test_it_does_not_rise_into_a_queue_or_a_full_cache(load: ServerLoad) -> None:
    limiter = Limiter(MOST)
    limiter.overloaded(0.0)
    before = limiter.limit
    for second in range(1, 5):
        limiter.load_reported(load, second, before)
        round_of(limiter, second)
    assert limiter.limit == before
    round_of(limiter, 100.0)
    assert limiter.limit > before, "what was told long ago holds no more"


def test_the_service_time_follows_the_good_calls() -> None:
    limiter, seen = Limiter(MOST), []
    for latency_s in (None, 2.0, 3.0):
        limiter.overloaded(1.0)
        if latency_s is not None:
            limiter.succeeded(1.0, latency_s, 1)
        seen.append(limiter.service_s)
    assert seen == [None, 2.0, pytest.approx(2.2)]
