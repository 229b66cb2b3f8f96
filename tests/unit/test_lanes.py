"""What a lane takes while it waits: its memory is bounded, and what its waiting records wait for still gets in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import msgspec
import pytest

from workers.adapters.lane_spec import LaneSpec, TopicPartitionKey
from workers.adapters.lanes import Lane
from workers.adapters.metrics import WorkerMetrics
from workers.adapters.rhythm import Rhythm
from workers.adapters.standby import Standby
from workers.core.lane import Effects, LaneCore
from workers.ports import Output, Record, StateStore
from workers.settings import Settings

EVENTS, CANDIDATES = ("t.customer.events", 0), ("t.message.candidates", 0)


class Fetched(msgspec.Struct):
    """A record as a consumer gives it."""

    offset: int
    value: bytes | None
    key: bytes | None = b"ana"
    timestamp: int = 0
    headers: Sequence[tuple[str, bytes | None]] = ()


class Standing:
    """Positions that are set at once."""

    async def seek_lane(
        self, offsets: Mapping[TopicPartitionKey, int | None], wanted: Callable[[], bool], ready: Callable[[], None]
    ) -> None:
        del offsets
        if wanted():
            ready()

    async def commit_hint(self, offsets: Mapping[TopicPartitionKey, int]) -> None:
        del offsets

    def at_end(self, source: TopicPartitionKey) -> bool:
        del source
        return True


def never(_store: StateStore, _clock_s: float) -> LaneCore:
    raise AssertionError("the lane is not opened here")


@pytest.fixture
def metrics() -> WorkerMetrics:
    return WorkerMetrics()


@pytest.fixture
def lane(metrics: WorkerMetrics) -> Lane:
    settings = Settings(prefix="t.", lane_buffer_records=3)
    spec = LaneSpec(
        role="personalise",
        group="t.personalise",
        sources=("customer.events", "message.candidates"),
        changelog="personalise-state",
        lane_of=lambda _topic, partition: str(partition),
        core=never,
        waits_for="message.candidates",
    )
    standby = Standby(spec, settings, {}, metrics)
    found = Lane(
        "0", [EVENTS, CANDIDATES], spec, settings, {}, Standing(), metrics, standby, asyncio.Semaphore(1), Rhythm()
    )
    found.ready = True
    return found


def test_a_full_lane_takes_only_what_its_records_wait_for(lane: Lane) -> None:
    lane.deliver(EVENTS, [Fetched(0, b"{}"), Fetched(1, b"{}")])
    assert lane.wants(EVENTS)
    lane.deliver(EVENTS, [Fetched(2, b"{}")])
    assert not lane.wants(EVENTS)
    assert lane.wants(CANDIDATES)


def test_few_large_records_fill_a_lane_too(lane: Lane) -> None:
    lane.deliver(EVENTS, [Fetched(0, bytes(40 << 20))])
    assert lane.wants(EVENTS)
    lane.deliver(EVENTS, [Fetched(1, bytes(30 << 20))])
    assert not lane.wants(EVENTS)
    assert len(list(lane._take())) == 2
    assert lane.wants(EVENTS), "there is room again"


def test_records_that_must_come_again_take_room_too(lane: Lane) -> None:
    lane.deliver(EVENTS, [Fetched(0, bytes(40 << 20)), Fetched(1, bytes(30 << 20))])
    lane._defer(list(lane._take()))
    assert not lane.wants(EVENTS)
    lane._defer([])
    assert lane.wants(EVENTS)


def test_a_header_without_a_value_is_an_empty_one(lane: Lane) -> None:
    lane.deliver(EVENTS, [Fetched(0, b"{}", headers=[("traceparent", None), ("ce_id", b"1")])])
    (taken,) = lane._take()
    assert taken.headers == (("traceparent", b""), ("ce_id", b"1"))


def test_a_lane_that_is_not_ready_takes_nothing(lane: Lane) -> None:
    lane.ready = False
    assert not lane.wants(EVENTS)
    assert not lane.wants(CANDIDATES)


def test_a_lane_that_waits_for_a_rebalance_is_not_taken_for_stuck(lane: Lane, metrics: WorkerMetrics) -> None:
    async def opened_during_a_rebalance() -> tuple[dict[str, int], list[str]]:
        await lane.hold()
        running = asyncio.create_task(lane.run())
        await asyncio.sleep(0)  # up to where it waits
        found = metrics.pulse.beats, metrics.pulse.waiting
        lane.close()
        await running
        return found

    beats, waiting = asyncio.run(opened_during_a_rebalance())
    assert "lane 0" not in beats
    assert "lane 0: waits for the group" in waiting


class Searching:
    """An isolated core that takes so long that something else happens meanwhile."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self._meanwhile = meanwhile
        self.discarded = 0

    async def apply(self, records: list[Record], wall_s: float, *, caught_up: bool) -> Effects:
        del wall_s, caught_up
        self._meanwhile()
        return Effects(outputs=[Output("o", None, record.value) for record in records])

    def discard(self) -> None:
        self.discarded += 1


def test_a_lane_that_is_to_rest_while_it_searches_for_a_bad_record_writes_nothing_more(lane: Lane) -> None:
    def hold() -> None:
        lane._held = True

    async def turn(offset: int, meanwhile: Callable[[], object]) -> Searching:
        lane.deliver(EVENTS, [Fetched(offset, b"{}")])
        core = Searching(meanwhile)
        await lane._turn(core, None)  # type: ignore[arg-type] # a producer would be used, and there is none
        return core

    for offset, meanwhile in enumerate((hold, lane.close)):
        core = asyncio.run(turn(offset, meanwhile))
        assert core.discarded == 1
        assert lane._next == {}, "the records come again"
        lane._held = False
