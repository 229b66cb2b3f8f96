"""How `personalise` sees from outside how far `intake` is, and what it does when it may not look."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from workers.adapters.kafka.group_offsets import Place
from workers.adapters.lanes.intake_watch import _EARLIEST, IntakeWatch, _NotVisible
from workers.adapters.observability.metrics import WorkerMetrics
from workers.adapters.process import clock
from workers.core.errors import Misconfigured, Unavailable
from workers.settings import Settings

T = TypeVar("T")
A, B = ("t.shop.events", 0), ("t.shop.events", 1)
OLD = ("t.retired", 0)


def done(value: T | KafkaError) -> Future[T]:
    future: Future[T] = Future()
    if isinstance(value, KafkaError):
        future.set_exception(KafkaException(value))
    else:
        future.set_result(value)
    return future


class Cluster:
    """As much of an AdminClient and of GroupOffsets as the watch uses."""

    def __init__(self) -> None:
        self.topics = {"t.shop.events": 2, "t.retired": 1}
        self.ends: dict[Place, int] = {A: 0, B: 0, OLD: 0}
        self.firsts: dict[Place, int] = {}
        self.applied: dict[Place, int] = {}
        self.refuses: Exception | None = None
        self.asked = 0

    def read(self) -> dict[Place, int]:
        """As GroupOffsets does."""
        self.asked += 1
        if self.refuses is not None:
            raise self.refuses
        return dict(self.applied)

    def describe_topics(self, topics: Any, **_: Any) -> dict[str, Future[Any]]:
        missing = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)
        return {
            topic: done(
                SimpleNamespace(partitions=[SimpleNamespace(id=number) for number in range(self.topics[topic])])
                if topic in self.topics
                else missing
            )
            for topic in ("t.shop.events", "t.retired")
            if topic in {place[0] for place in self.applied}
        }

    def list_offsets(self, asked: Mapping[TopicPartition, Any], **_: Any) -> dict[TopicPartition, Future[Any]]:
        found = {}
        for tp, spec in asked.items():
            place = (tp.topic, tp.partition)
            offset = self.firsts.get(place, 0) if spec is _EARLIEST else self.ends[place]
            found[tp] = done(SimpleNamespace(offset=offset))
        return found


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def watch() -> IntakeWatch:
    return IntakeWatch(Settings(prefix="t."), {}, WorkerMetrics())


def look(watch: IntakeWatch, cluster: Cluster) -> bool:
    """One look as the thread takes it; whether a lane that knows everything up to now may let timers fire."""
    watch._group_offsets = cluster  # type: ignore[assignment] # likewise
    watch._needed = watch._check(cluster)  # type: ignore[arg-type] # as much of it as is used
    return watch.allows(clock.monotonic_s())


def test_before_the_first_look_timers_wait(watch: IntakeWatch) -> None:
    assert not watch.allows(clock.monotonic_s())


def test_without_such_a_group_nobody_waits(watch: IntakeWatch, cluster: Cluster) -> None:
    assert look(watch, cluster)


def test_an_intake_at_the_end_of_all_partitions_holds_nothing_up(watch: IntakeWatch, cluster: Cluster) -> None:
    cluster.ends, cluster.applied = {A: 7, B: 0}, {A: 7}
    assert look(watch, cluster)


@pytest.mark.parametrize(("ends", "applied"), [({A: 8, B: 0}, {A: 7}), ({A: 7, B: 1}, {A: 7})])
def test_what_is_not_mapped_is_waited_for(
    watch: IntakeWatch, cluster: Cluster, ends: dict[Place, int], applied: dict[Place, int]
) -> None:
    cluster.ends, cluster.applied = ends, applied
    assert not look(watch, cluster)
    cluster.applied = dict(ends)
    assert look(watch, cluster)


def test_what_retention_has_deleted_is_waited_for_no_more(watch: IntakeWatch, cluster: Cluster) -> None:
    cluster.ends, cluster.applied, cluster.firsts = {A: 7, B: 9}, {A: 7}, {B: 9}
    assert look(watch, cluster)


def test_a_retired_topic_holds_timers_until_its_offsets_are_deleted(watch: IntakeWatch, cluster: Cluster) -> None:
    cluster.ends, cluster.applied = {A: 7, B: 0, OLD: 100}, {A: 7, OLD: 60}
    assert not look(watch, cluster)
    assert max(watch._unmapped, key=watch._unmapped.__getitem__) == OLD
    del cluster.applied[OLD]
    watch._refreshed_at_s = float("-inf")  # ten seconds later
    assert look(watch, cluster)


def test_a_group_that_may_not_be_seen_is_told_as_such(watch: IntakeWatch, cluster: Cluster) -> None:
    cluster.refuses = Misconfigured("this user may not see the group t.intake: why", "grant it")
    with pytest.raises(_NotVisible, match=r"may not see the group t\.intake"):
        look(watch, cluster)


def test_a_topic_of_the_group_that_may_not_be_seen_is_told_as_such(watch: IntakeWatch, cluster: Cluster) -> None:
    cluster.applied = {A: 7, OLD: 60}
    del cluster.topics["t.retired"]
    with pytest.raises(_NotVisible, match=r"t\.retired does not exist"):
        look(watch, cluster)


def test_a_broker_that_does_not_answer_leaves_what_is_known_to_grow_old(watch: IntakeWatch, cluster: Cluster) -> None:
    cluster.ends, cluster.applied = {A: 7, B: 0}, {A: 7}
    assert look(watch, cluster)
    cluster.refuses = Unavailable("the group cannot be asked", "is the broker up?")
    with pytest.raises(Unavailable):
        look(watch, cluster)
    assert watch.allows(clock.monotonic_s())
    assert not watch._until.allows(clock.monotonic_s() + 6.0, clock.monotonic_s() + 6.0 - 5.0)
    assert watch._places == [], "the next look finds out anew what there is"


@pytest.mark.parametrize("settings", [Settings(intake_hold_lag_s=0.0), Settings(clock="event")])
def test_nobody_waits_in_a_replay_or_where_it_is_switched_off(settings: Settings) -> None:
    watch = IntakeWatch(settings, {}, WorkerMetrics())
    watch.start()
    assert watch._thread is None
    assert watch.allows(float("-inf"))
