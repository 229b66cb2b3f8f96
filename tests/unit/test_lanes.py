"""What a lane takes while it waits: its memory is bounded, and what its waiting records wait for still gets in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import msgspec
import pytest
from confluent_kafka import TopicPartition

from workers.adapters.lanes.context import LaneContext
from workers.adapters.lanes.horizon import NEVER_S
from workers.adapters.lanes.lane import Lane
from workers.adapters.lanes.lane_clock import LaneClock
from workers.adapters.lanes.pacing import CommitPacing
from workers.adapters.lanes.source_progress import SourceProgress
from workers.adapters.lanes.spec import LaneSpec, TopicPartitionKey
from workers.adapters.lanes.standby import Standby
from workers.adapters.observability.metrics import WorkerMetrics
from workers.adapters.process import clock
from workers.adapters.process.liveness import Liveness
from workers.core.errors import Fatal, Misconfigured
from workers.core.stream.effects import Effects, Processor
from workers.core.stream.records import Output, Record, StateStore
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
    """Positions that are set at once, and sources that are known up to now unless a test says otherwise."""

    def __init__(self) -> None:
        self.horizons: dict[TopicPartitionKey, float] = {}
        self.handed: dict[TopicPartitionKey, int] = {}

    async def seek_lane(
        self, offsets: Mapping[TopicPartitionKey, int | None], wanted: Callable[[], bool], ready: Callable[[], None]
    ) -> None:
        del offsets
        if wanted():
            ready()

    async def commit_hint(self, offsets: Mapping[TopicPartitionKey, int]) -> None:
        del offsets

    def horizon_s(self, source: TopicPartitionKey) -> float:
        return self.horizons.get(source, clock.monotonic_s())

    def rejoin(self) -> None:
        raise AssertionError("nothing is missing")

    def handed_over(self, source: TopicPartitionKey) -> int | None:
        return self.handed.get(source)


def never(_store: StateStore, _clock_s: float) -> Processor:
    raise AssertionError("the lane is not opened here")


@pytest.fixture
def metrics() -> WorkerMetrics:
    return WorkerMetrics()


@pytest.fixture
def liveness() -> Liveness:
    return Liveness()


@pytest.fixture
def standing() -> Standing:
    return Standing()


@pytest.fixture
def lane(metrics: WorkerMetrics, liveness: Liveness, standing: Standing) -> Lane:
    settings = Settings(prefix="t.", lane_buffer_records=3)
    spec = LaneSpec(
        role="personalise",
        group="t.personalise",
        sources=("customer.events", "message.candidates"),
        changelog="personalise-state",
        lane_of=lambda _topic, partition: str(partition),
        core=never,
        waits_for="message.candidates",
        paced_by=("customer.events",),
    )
    context = LaneContext(
        spec=spec,
        settings=settings,
        client_config={},
        metrics=metrics,
        liveness=liveness,
        standby=Standby(spec, settings, {}, metrics),
        restores=asyncio.Semaphore(1),
        pacing=CommitPacing(),
    )
    found = Lane("0", [EVENTS, CANDIDATES], standing, context)
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
    assert len(lane._buffer.take(100)) == 2
    assert lane.wants(EVENTS), "there is room again"


def test_records_that_must_come_again_take_room_too(lane: Lane) -> None:
    lane.deliver(EVENTS, [Fetched(0, bytes(40 << 20)), Fetched(1, bytes(30 << 20))])
    lane._buffer.defer(lane._buffer.take(100))
    assert not lane.wants(EVENTS)
    lane._buffer.defer([])
    assert lane.wants(EVENTS)


def test_a_header_without_a_value_is_an_empty_one(lane: Lane) -> None:
    lane.deliver(EVENTS, [Fetched(0, b"{}", headers=[("traceparent", None), ("ce_id", b"1")])])
    (taken,) = lane._buffer.take(100)
    assert taken.headers == (("traceparent", b""), ("ce_id", b"1"))


def test_a_lane_that_is_not_ready_takes_nothing(lane: Lane) -> None:
    lane.ready = False
    assert not lane.wants(EVENTS)
    assert not lane.wants(CANDIDATES)


def test_a_lane_that_waits_for_a_rebalance_is_not_taken_for_stuck(lane: Lane, liveness: Liveness) -> None:
    async def opened_during_a_rebalance() -> tuple[dict[str, int], list[str]]:
        await lane.hold()
        running = asyncio.create_task(lane.run())
        await asyncio.sleep(0)  # up to where it waits
        found = liveness.beats, liveness.waiting
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

    async def now_s(_ask: object) -> float:
        return 1.0

    lane._clock.now_s = now_s  # type: ignore[method-assign, assignment] # no broker is asked here

    async def turn(offset: int, meanwhile: Callable[[], object]) -> Searching:
        lane.deliver(EVENTS, [Fetched(offset, b"{}")])
        core = Searching(meanwhile)
        await lane._turn(core, None)  # type: ignore[arg-type] # a producer would be used, and there is none
        return core

    for offset, meanwhile in enumerate((hold, lane.close)):
        core = asyncio.run(turn(offset, meanwhile))
        assert core.discarded == 1
        assert lane._progress.next == {}, "the records come again"
        lane._held = False


class Deferring:
    """An isolated core that applies the first of the records it is given, and wants the others again."""

    async def apply(self, records: list[Record], wall_s: float, *, caught_up: bool) -> Effects:
        del wall_s, caught_up
        return Effects(outputs=[Output("o", None, b"")], deferred=records[1:], more_due=True)


class Committing:
    """A producer that keeps up to where each transaction has read."""

    stamped = None

    def __init__(self) -> None:
        self.read_to: list[int] = []

    def commit(self, *_: object, group_offsets: tuple[list[TopicPartition], object, str], **__: object) -> int:
        self.read_to.append(group_offsets[0][0].offset)
        return -1


def test_what_must_come_again_is_not_read_and_what_is_no_record_is_passed_over_behind_it(
    lane: Lane, standing: Standing
) -> None:
    # three records, then two markers of transactions: a crash between two batches must find what was deferred again
    lane._spec = msgspec.structs.replace(lane._spec, changelog=None)
    lane._clock = LaneClock("0", None, Settings(prefix="t."))
    producer = Committing()
    lane.deliver(EVENTS, [Fetched(offset, b"{}") for offset in range(3)])
    standing.handed[EVENTS] = 5

    async def turns() -> None:
        for _ in range(3):
            await lane._turn(Deferring(), producer)  # type: ignore[arg-type] # what a turn needs of both

    asyncio.run(turns())
    assert producer.read_to == [1, 2, 5]


@pytest.mark.parametrize(("now", "error"), [("new", Fatal), ("old", Misconfigured)])
def test_a_source_that_ends_too_early_is_looked_at_again_before_it_is_called_damaged(
    lane: Lane, standing: Standing, now: str, error: type[Fatal]
) -> None:
    # the topic is deleted and made anew between the first question (which may be answered from memory) and the seek
    asked: list[float] = []

    def ids(age_s: float) -> dict[str, str]:
        asked.append(age_s)
        return {EVENTS[0]: "old" if len(asked) <= 2 else now}

    async def seek_lane(*_: object) -> None:
        raise Misconfigured("it ends at offset 0, but was already applied up to offset 200.", "restore them")

    lane._recover_from_ledger = lambda _producer: None  # type: ignore[method-assign, assignment] # no broker is asked here
    standing.seek_lane = seek_lane  # type: ignore[method-assign, assignment]
    lane._progress = SourceProgress([EVENTS], "t.", ids)
    lane._progress.fetch_ids()
    with pytest.raises(Fatal) as raised:
        asyncio.run(lane._resume(None))  # type: ignore[arg-type]
    assert type(raised.value) is error
    assert asked == [1.0, 1.0, 0.0], "the last answer is not one from memory"


@pytest.mark.parametrize(
    ("source", "behind_s", "caught_up"),
    [
        (EVENTS, 0.0, True),
        (EVENTS, 4.0, True),  # a load that never ends, and is never far behind
        (EVENTS, 6.0, False),
        (EVENTS, float("inf"), False),  # no answer of the broker yet
        (CANDIDATES, float("inf"), True),  # paces nothing
    ],
)
def test_a_lane_is_caught_up_when_it_knows_what_was_in_the_log_a_moment_ago(
    lane: Lane, standing: Standing, source: TopicPartitionKey, behind_s: float, caught_up: bool
) -> None:
    standing.horizons[source] = clock.monotonic_s() - behind_s if behind_s < float("inf") else NEVER_S
    assert lane._caught_up() == caught_up


def test_records_that_wait_in_the_lane_are_a_backlog_however_young_they_are(lane: Lane) -> None:
    lane.deliver(EVENTS, [Fetched(0, b"{}", timestamp=int(clock.now_s() * 1000))])
    assert not lane._caught_up()
    assert len(lane._buffer.take(100)) == 1
    assert lane._caught_up()


@pytest.mark.parametrize("skew_s", [-3600.0, 0.0, 3600.0])
def test_the_times_of_records_say_nothing_about_a_backlog(lane: Lane, standing: Standing, skew_s: float) -> None:
    for horizon_s, caught_up in ((clock.monotonic_s(), True), (clock.monotonic_s() - 60.0, False)):
        standing.horizons[EVENTS] = horizon_s
        lane.deliver(EVENTS, [Fetched(0, b"{}", timestamp=int((clock.now_s() + skew_s) * 1000))])
        assert len(lane._buffer.take(100)) == 1
        assert lane._caught_up() == caught_up
