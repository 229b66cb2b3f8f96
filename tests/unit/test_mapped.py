"""Whether what shops had sent is mapped: ends of the raw topics, intake's offsets, and the moments at which both were seen."""

from __future__ import annotations

import pytest

from workers.adapters.lanes.intake_progress import MappedUntil

A, B = ("shop.events", 0), ("shop.events", 1)
HOLD_S = 5.0


def allows(until: MappedUntil, now_s: float, horizon_s: float | None = None) -> bool:
    return until.allows(now_s if horizon_s is None else horizon_s, now_s - HOLD_S)


def test_before_the_first_look_nothing_is_known() -> None:
    until = MappedUntil(HOLD_S)
    assert not allows(until, 1.0)
    assert until.until_s == float("-inf")


def test_an_intake_that_is_at_the_end_is_seen_at_the_first_look() -> None:
    until = MappedUntil(HOLD_S)
    until.observe(1.0, {A: 7, B: 0}, 1.1, {A: 7})
    assert allows(until, 1.2)
    assert until.until_s == 1.0


def test_a_partition_that_was_never_begun_counts_from_its_beginning() -> None:
    until = MappedUntil(HOLD_S)
    until.observe(1.0, {A: 7, B: 1}, 1.1, {A: 7})
    assert not allows(until, 1.2)
    until.observe(2.0, {A: 7, B: 1}, 2.1, {A: 7, B: 1})
    assert allows(until, 2.2)


def test_a_lane_must_have_read_what_was_mapped_by_then() -> None:
    until = MappedUntil(HOLD_S)
    until.observe(1.0, {A: 7}, 1.5, {A: 7})
    assert not allows(until, 1.6, horizon_s=1.4)
    assert allows(until, 1.6, horizon_s=1.5)


def test_an_older_pair_serves_a_lane_that_is_a_little_behind() -> None:
    until = MappedUntil(HOLD_S)
    for second in range(1, 5):
        until.observe(float(second), {A: 7}, second + 0.1, {A: 7})
    assert allows(until, 4.2, horizon_s=3.5)


def test_an_intake_that_stands_still_is_soon_too_far_behind() -> None:
    until = MappedUntil(HOLD_S)
    until.observe(1.0, {A: 7}, 1.1, {A: 7})
    for second in range(2, 20):
        until.observe(float(second), {A: 8}, second + 0.1, {A: 7})
        assert allows(until, second + 0.2) == (second + 0.2 - HOLD_S <= 1.0)
    until.observe(20.0, {A: 8}, 20.1, {A: 8})
    assert allows(until, 20.2)


def test_a_broker_that_does_not_answer_makes_what_is_known_old() -> None:
    until = MappedUntil(HOLD_S)
    until.observe(1.0, {A: 7}, 1.1, {A: 7})
    assert allows(until, 6.0)
    assert not allows(until, 6.1)


@pytest.mark.parametrize(("lag_s", "open_"), [(0.0, True), (1.0, True), (4.0, True), (6.0, False), (60.0, False)])
def test_under_a_load_that_never_ends_the_lag_decides(lag_s: float, open_: bool) -> None:
    until = MappedUntil(HOLD_S)
    for step in range(1, 400):  # a look each half second, 100 records in it
        now_s = step / 2
        until.observe(now_s, {A: 100 * step}, now_s, {A: int(100 * (step - 2 * lag_s))})
        if now_s > 120.0:
            assert allows(until, now_s) == open_


def test_a_topic_that_is_retired_and_forgotten_by_the_group_is_waited_for_no_more() -> None:
    until = MappedUntil(HOLD_S)
    until.observe(1.0, {A: 7, B: 9}, 1.1, {A: 7, B: 3})
    assert not allows(until, 1.2)
    until.observe(2.0, {A: 7}, 2.1, {A: 7})
    assert allows(until, 2.2)


def test_a_long_patience_needs_no_more_memory() -> None:
    until = MappedUntil(600.0)
    for step in range(1, 2000):  # intake is always a minute behind
        until.observe(step / 2, {A: 100 * step}, step / 2, {A: 100 * (step - 120)})
    assert until.until_s >= 1999 / 2 - 60.0 - 20.0
    assert len(until._ends) <= 64
