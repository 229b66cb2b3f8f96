"""The clock of a partition, live and in a replay."""

from __future__ import annotations

import pytest

from workers.core.attribution import clock as learn_clock
from workers.core.partition.clock import PUNCTUATION, EventClock, WallClock, make_clock
from workers.core.profile.dedupe import KEEP_HOURS
from workers.core.stream.records import Record

NOON = 1_709_553_600.0


def record(
    value: bytes | None = b"{}", appended_at_s: float = 0.0, headers: tuple[tuple[str, bytes], ...] = ()
) -> Record:
    return Record(
        topic="customer.events",
        partition=0,
        offset=0,
        key=b"ana",
        value=value,
        appended_at_s=appended_at_s,
        headers=headers,
    )


def punctuated(value: bytes | None = None) -> Record:
    return record(value, headers=(("other", b"1"), (PUNCTUATION, str(NOON).encode())))


def test_the_setting_names_the_clock() -> None:
    assert isinstance(make_clock("wall", NOON, 1), WallClock)
    assert isinstance(make_clock("event", NOON, 1), EventClock)
    assert WallClock.is_live
    assert not EventClock.is_live


def test_a_live_clock_follows_the_wall_and_never_goes_back() -> None:
    clock = WallClock(NOON, 3)
    clock.begin_batch(NOON - 60)
    assert clock.now_s == NOON
    clock.begin_batch(NOON + 60)
    clock.fires(NOON + 3_600)
    assert clock.now_s == NOON + 60
    assert clock.due_after_batch(True) == NOON + 60
    assert clock.due_after_batch(False) is None
    assert clock.due_before(NOON + 90) is None
    assert clock.punctuation(punctuated()) is None
    assert not clock.is_too_late(0.0)


def test_a_live_batch_fires_so_many_timers_and_waits_for_no_text() -> None:
    clock = WallClock(NOON, 3)
    assert [clock.may_fire(fired, awaited=7) for fired in range(5)] == [True, True, True, False, False]


def test_a_live_statement_was_made_when_the_log_had_it() -> None:
    clock = WallClock(NOON, 3)
    assert clock.known_at(record(appended_at_s=NOON - 5)) == NOON - 5
    assert clock.known_at(record(appended_at_s=NOON + 5)) == NOON + 5
    assert clock.known_at(record(appended_at_s=0.0)) == NOON


def test_the_clock_of_a_replay_follows_the_events_alone() -> None:
    clock = EventClock(NOON)
    clock.begin_batch(NOON + 3_600)
    assert clock.now_s == NOON
    assert clock.due_before(NOON + 60) == NOON + 60
    assert clock.due_after_batch(True) is None
    clock.fires(NOON + 30)
    clock.fires(NOON + 10)
    assert clock.now_s == NOON + 30
    assert clock.known_at(record(appended_at_s=NOON + 9_000)) == NOON + 30


def test_a_replay_stands_still_while_a_text_is_awaited() -> None:
    clock = EventClock(NOON)
    assert clock.may_fire(10**6, awaited=0)
    assert not clock.may_fire(0, awaited=1)


def test_only_a_record_without_a_value_advances_a_replay() -> None:
    clock = EventClock(NOON)
    assert clock.punctuation(punctuated()) == NOON
    assert clock.punctuation(punctuated(b"{}")) is None
    assert clock.punctuation(record(None)) is None


def test_an_event_whose_id_may_be_forgotten_is_too_late_for_a_replay() -> None:
    clock, kept_s = EventClock(NOON), KEEP_HOURS * 3_600
    assert not clock.is_too_late(NOON - kept_s)
    assert clock.is_too_late(NOON - kept_s - 1)


def test_timers_of_learn_have_the_live_clock() -> None:
    clock = learn_clock.make_clock("wall", NOON, 0.0)
    clock.saw_decision(NOON + 60)
    clock.saw_order(NOON + 60)
    assert (clock.now_s, clock.timers_s) == (NOON, NOON)
    clock.begin_batch(NOON - 1)
    clock.begin_batch(NOON + 1)
    assert (clock.now_s, clock.timers_s) == (NOON + 1, NOON + 1)
    assert clock.read_at_s(record(appended_at_s=NOON)) == NOON + 1
    assert clock.read_at_s(record(appended_at_s=NOON + 2)) == NOON + 2
    assert [clock.snapshot_due(at_s, idle=True) for at_s in (NOON, NOON + 1, NOON + 2)] == [True, True, False]


@pytest.mark.parametrize(("stored_s", "kept_s"), [(NOON - 5, NOON - 5), (NOON + 5, NOON)])
def test_what_learn_has_stored_is_not_ahead_of_a_clock_that_was_set_back(stored_s: float, kept_s: float) -> None:
    assert learn_clock.make_clock("wall", NOON, 0.0).not_after(stored_s) == kept_s
    assert learn_clock.make_clock("wall", 0.0, 0.0).not_after(stored_s) == stored_s, "a lane without a time"
    assert learn_clock.make_clock("event", NOON, 0.0).not_after(stored_s) == stored_s


def test_orders_run_ahead_of_the_timers_in_a_replay() -> None:
    clock = learn_clock.make_clock("event", NOON, NOON - 100)
    clock.begin_batch(NOON + 9_000)
    clock.saw_order(NOON + 60)
    assert (clock.now_s, clock.timers_s) == (NOON + 60, NOON - 100)
    clock.saw_decision(NOON + 30)
    clock.saw_decision(NOON + 10)
    clock.saw_order(NOON)
    assert (clock.now_s, clock.timers_s) == (NOON + 60, NOON + 30)
    clock.saw_decision(NOON + 90)
    assert (clock.now_s, clock.timers_s) == (NOON + 90, NOON + 90)
    assert clock.read_at_s(record()) is None
    assert clock.snapshot_due(NOON + 90, idle=False)
    assert not clock.snapshot_due(NOON + 91, idle=False)
    assert clock.snapshot_due(NOON + 91, idle=True)
