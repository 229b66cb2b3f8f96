"""The index of timers: it holds exactly the timers of the profiles, whatever is set, moved, cancelled or fired in a batch."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.memory_store import MemoryStore
from tests.support.generators import examples
from workers.core.partition import keys
from workers.core.partition.timers import DEADLINE, Timers, index_keys, kind_of
from workers.core.profile.model import Profile


def commit(store: MemoryStore, timers: Timers) -> Timers:
    """What a batch leaves in the store, deletes first; returns the view of the next batch."""
    for key in timers.deletes:
        store.values.pop(key, None)
    for key in timers.puts:
        store.values[key] = b""
    return Timers(store)


def due(timers: Timers, until_s: float, profile: Profile) -> list[tuple[float, str]]:
    """What fires until then, as personalise fires it."""
    fired = []
    while (entry := timers.pop_due(until_s)) is not None:
        due_s, customer_id, timer = entry
        assert customer_id == profile.customer_id
        if profile.timers.get(timer) == due_s:
            timers.fired(profile, timer)
            fired.append((due_s, timer))
    return fired


@pytest.fixture
def ana() -> Profile:
    return Profile(customer_id="ana")


def test_a_timer_is_in_the_index_until_it_fires(ana: Profile) -> None:
    store = MemoryStore()
    timers = Timers(store)
    timers.set(ana, "trigger|cart|c1", 100.0)
    timers = commit(store, timers)
    assert list(store.values) == index_keys(ana) == [keys.timer_key(100.0, "ana", "trigger|cart|c1")]
    assert due(timers, 99.999, ana) == []
    assert due(timers, 100.0, ana) == [(100.0, "trigger|cart|c1")]
    assert ana.timers == {}
    timers = commit(store, timers)
    assert store.values == {}, "an entry that has fired is gone"
    assert due(timers, 1e9, ana) == []


@pytest.mark.parametrize("committed", [True, False])
def test_a_timer_that_is_moved_or_cancelled_leaves_no_entry(ana: Profile, *, committed: bool) -> None:
    store = MemoryStore()
    timers = Timers(store)
    timers.set(ana, "a", 100.0)
    timers.set(ana, "b", 100.0)
    if committed:
        timers = commit(store, timers)
    timers.set(ana, "a", 50.0)
    timers.cancel(ana, "b")
    timers.cancel(ana, "never there")
    timers = commit(store, timers)
    assert list(store.values) == [keys.timer_key(50.0, "ana", "a")]
    assert ana.timers == {"a": 50.0}
    assert due(timers, 1e9, ana) == [(50.0, "a")]
    commit(store, timers)
    assert store.values == {}


def test_a_timer_that_is_moved_away_and_back_stays(ana: Profile) -> None:
    store = MemoryStore()
    timers = Timers(store)
    timers.set(ana, "a", 100.0)
    timers = commit(store, timers)
    timers.set(ana, "a", 50.0)
    timers.set(ana, "a", 100.0)
    assert due(timers, 1e9, ana) == [(100.0, "a")]
    timers.set(ana, "a", 100.0)
    commit(store, timers)
    assert list(store.values) == index_keys(ana) == [keys.timer_key(100.0, "ana", "a")]


def test_the_earliest_fires_first_whether_it_is_old_or_new(ana: Profile) -> None:
    store = MemoryStore()
    timers = Timers(store)
    for name, due_s in (("c", 30.0), ("a", 10.0)):
        timers.set(ana, name, due_s)
    timers = commit(store, timers)
    for name, due_s in (("d", 40.0), ("b", 20.0)):
        timers.set(ana, name, due_s)
    assert due(timers, 30.0, ana) == [(10.0, "a"), (20.0, "b"), (30.0, "c")]
    assert due(timers, 40.0, ana) == [(40.0, "d")]


def test_what_a_timer_sets_when_it_fires_is_due_in_the_same_batch(ana: Profile) -> None:
    timers = Timers(MemoryStore())
    timers.set(ana, "a", 10.0)
    assert timers.pop_due(100.0) == (10.0, "ana", "a")
    timers.fired(ana, "a")
    timers.set(ana, "a", 20.0)
    assert due(timers, 100.0, ana) == [(20.0, "a")]


def test_due_times_are_kept_to_the_millisecond(ana: Profile) -> None:
    timers = Timers(MemoryStore())
    timers.set(ana, "a", 10.00049)
    assert ana.timers == {"a": 10.0}
    timers.set(ana, "a", 10.00151)
    assert ana.timers == {"a": 10.002}
    assert due(timers, 11.0, ana) == [(10.002, "a")]


def test_what_is_set_to_the_same_time_changes_nothing(ana: Profile) -> None:
    store = MemoryStore()
    timers = Timers(store)
    timers.set(ana, "a", 10.0)
    timers = commit(store, timers)
    timers.set(ana, "a", 10.0001)
    assert (timers.puts, timers.deletes, timers.moved) == ({}, {}, Counter())


def test_how_many_of_each_kind_there_are_more_or_fewer_is_counted(ana: Profile) -> None:
    timers = Timers(MemoryStore())
    timers.set(ana, "trigger|cart|c1", 10.0)
    timers.set(ana, "trigger|cart|c2", 10.0)
    timers.set(ana, f"{DEADLINE}|m1", 20.0)
    assert timers.moved == {"trigger": 2, "deadline": 1}
    timers.set(ana, "trigger|cart|c1", 30.0)
    assert timers.moved == {"trigger": 2, "deadline": 1}
    timers.cancel(ana, "trigger|cart|c2")
    due(timers, 20.0, ana)
    assert +timers.moved == {"trigger": 1}
    assert kind_of("view") == "view"


NAMES = st.sampled_from(["trigger|cart|c1", "turn|cart|c1", "deadline|m1", "view"])
STEPS = st.one_of(
    st.tuples(st.just("set"), NAMES, st.integers(0, 6)),
    st.tuples(st.just("cancel"), NAMES, st.just(0)),
    st.tuples(st.just("fire"), st.just(""), st.integers(0, 6)),
    st.tuples(st.just("commit"), st.just(""), st.just(0)),
)


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(STEPS, max_size=30))
def test_after_each_batch_the_index_is_that_of_the_profiles(steps: list[tuple[str, str, int]]) -> None:
    store, ana = MemoryStore(), Profile(customer_id="ana")
    timers, oracle, counted = Timers(store), dict[str, float](), Counter[str]()
    for step, name, at_s in [*steps, ("commit", "", 0)]:
        match step:
            case "set":
                timers.set(ana, name, float(at_s))
                oracle[name] = float(at_s)
            case "cancel":
                timers.cancel(ana, name)
                oracle.pop(name, None)
            case "fire":
                expected = sorted((due_s, timer) for timer, due_s in oracle.items() if due_s <= at_s)
                assert sorted(due(timers, float(at_s), ana)) == expected
                oracle = {timer: due_s for timer, due_s in oracle.items() if due_s > at_s}
            case _:
                counted.update(timers.moved)
                timers = commit(store, timers)
                assert sorted(store.values) == sorted(index_keys(ana))
        assert ana.timers == oracle
    assert {kind: number for kind, number in counted.items() if number} == Counter(map(kind_of, oracle))
