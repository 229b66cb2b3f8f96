"""Faust's transport for lanes: Faust handles group membership and assignment, but fetched batches go to lanes, not streams.

Private names of faust-streaming 0.15.3 and aiokafka 0.14 are used here and only here (both pinned; the contract tests in
tests/contract/test_faust.py fail if they move): `_create_worker_consumer`, `_getmany`, `_fetch_max_wait_ms`,
`_fetch_min_bytes`, `_proc_fetch_request`, a partition's `timestamp`, `_isolation_level`, `_partition_assignment_strategy`,
`_wait_next_records`, `_commit`, `_coordinator`, `_client`, `_ensure_producer`; those of batches in foreign_records.py.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, Protocol, cast

import faust
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from yarl import URL

from workers.adapters.kafka import decompression
from workers.adapters.kafka.foreign_records import ForeignRecords
from workers.adapters.lanes.buffer import FetchedRecord
from workers.adapters.lanes.horizon import NEVER_S, Horizon
from workers.adapters.lanes.positions import Positions
from workers.adapters.lanes.spec import TopicPartitionKey
from workers.adapters.process import clock, failpoints
from workers.core.errors import Misconfigured

log = logging.getLogger(__name__)

#: Maximum wait of one fetch, and the pause when no records are wanted [s].
_FETCH_S, _IDLE_S = 0.1, 0.02
#: A broker handles the requests of a connection in order: everything queued after a long-polling fetch waits for it.
_FETCH_MAX_WAIT_MS = 100
#: Maximum wait of a closing connection for the broker's close (TLS sends one; uvloop would wait 30 s for it) [s].
_CLOSE_TIMEOUT_S = 2.0
#: While records keep coming, the broker gathers this much before it responds [bytes], or until the wait is over.
_GATHER_BYTES = 64 << 10


class CommittedThread(driver.AIOKafkaConsumerThread):
    """The consumer's thread, with committed records only and the assignor that gives a worker the same partition of all
    co-partitioned topics (stock Faust uses it only for apps that declare tables).
    """

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"
        consumer._fetch_max_wait_ms = _FETCH_MAX_WAIT_MS
        consumer._partition_assignment_strategy = [self.app.assignor]
        self._assignor = self.app.assignor
        return consumer

    async def on_start(self) -> None:
        """Starts the consumer."""
        await super().on_start()
        limit_close(self._ensure_consumer()._client)

    async def on_thread_stop(self) -> None:
        """Continues the stop, although aiokafka lets the cancellation of its own fetches escape if no broker responds."""
        with suppress(asyncio.CancelledError):
            await super().on_thread_stop()


class CommittedConsumer(driver.Consumer):
    """Reads committed records only."""

    def _new_consumer_thread(self) -> CommittedThread:
        return CommittedThread(self, loop=self.loop, beacon=self.beacon)


class IdempotentProducer(driver.Producer):
    """A producer whose retries do not duplicate records. A record counts as delivered once every replica has it."""

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}

    async def on_start(self) -> None:
        """Starts the producer."""
        await super().on_start()
        limit_close(self._ensure_producer().client)


def limit_close(client: Any) -> None:
    """Limits how long aiokafka's client waits when it closes: group and records are settled by then."""
    close = client.close

    async def close_in_time() -> None:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(close(), _CLOSE_TIMEOUT_S)

    client.close = close_in_time


class CommittedTransport(driver.Transport):
    """The transport of all our Faust apps; everything they read decompresses to a bounded size."""

    Consumer = CommittedConsumer
    Producer = IdempotentProducer


class LanesOwner(Protocol):
    """The owner that opens, feeds and closes lanes: adapters.lanes.manager.Lanes."""

    def open(self, assigned: set[TopicPartitionKey], positions: Positions) -> None: ...

    async def hold(self) -> None: ...

    async def close(self) -> None: ...

    def wants(self, source: TopicPartitionKey) -> bool: ...

    def deliver(self, source: TopicPartitionKey, batch: Sequence[FetchedRecord]) -> None: ...

    @property
    def gather_s(self) -> float: ...

    @property
    def hold_lag_s(self) -> float: ...


class LaneThread(CommittedThread):
    """The lanes' consumer thread: the first record is returned at once, those that follow it gather at the broker."""

    async def on_start(self) -> None:
        """Starts the consumer and hooks into its fetches."""
        await super().on_start()
        fetcher, consumer = self._ensure_consumer()._fetcher, cast("LaneConsumer", self.consumer)
        let_gather(fetcher, lambda: consumer.lanes.gather_s)
        report_ends(fetcher, consumer.ended)


def let_gather(fetcher: Any, gather_s: Callable[[], float]) -> None:
    """Sets fetch.min.bytes and fetch.max.wait.ms for each fetch from the previous response.

    If that contained records, the broker accumulates more for up to `gather_s` [s] or until it has 64 KiB. If it was empty, the
    broker responds as soon as there is a record.
    """
    fetch = fetcher._proc_fetch_request

    async def fetch_and_decide(assignment: Any, node_id: Any, request: Any) -> bool:
        found: bool = await fetch(assignment, node_id, request)
        fetcher._fetch_min_bytes = _GATHER_BYTES if found else 1
        fetcher._fetch_max_wait_ms = round(1000 * gather_s()) if found else _FETCH_MAX_WAIT_MS
        return found

    fetcher._proc_fetch_request = fetch_and_decide


def report_ends(fetcher: Any, ended: Callable[[TopicPartition, int, float], None]) -> None:
    """Calls `ended` for each partition in a fetch response: its end offset, and the monotonic time of the request [s]."""
    fetch = fetcher._proc_fetch_request

    async def fetch_and_report(assignment: Any, node_id: Any, request: Any) -> bool:
        requested_at_s = clock.monotonic_s()
        tps = [TopicPartition(topic, part[0]) for topic, parts in request.topics for part in parts]
        states = {tp: state for tp in tps if (state := assignment.state_value(tp)) is not None}
        before = {tp: state.timestamp for tp, state in states.items()}
        found: bool = await fetch(assignment, node_id, request)
        for tp, state in states.items():
            # Each response sets a new number, possibly of the same millisecond: only object identity distinguishes them.
            if state.timestamp is not before[tp]:
                ended(tp, failpoints.end_of(state.highwater, state.lso), requested_at_s)
        return found

    fetcher._proc_fetch_request = fetch_and_report


class LaneConsumer(CommittedConsumer):
    """Hands whole fetched batches to lanes."""

    def _new_consumer_thread(self) -> LaneThread:
        return LaneThread(self, loop=self.loop, beacon=self.beacon)

    @cached_property
    def _positioning(self) -> asyncio.Lock:
        """Held while records are fetched and delivered, and while a lane sets its position."""
        return asyncio.Lock()

    @cached_property
    def _handed_over(self) -> dict[TP, int | None]:
        """The offset up to which each lane has its partition's records; the consumer's own position is ahead of it."""
        return {}

    @cached_property
    def _horizons(self) -> dict[TP, Horizon]:
        """The horizon of each partition that was fetched since its position was set."""
        return {}

    @property
    def lanes(self) -> LanesOwner:
        """The lanes that this consumer feeds."""
        return cast("LaneTransport", self.transport).lanes

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Opens the lanes of the new assignment in the background: joining the group must not wait for a restore."""
        await super().on_partitions_assigned(assigned, generation_id)
        self.lanes.open({(tp.topic, tp.partition) for tp in assigned}, self)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Lets every lane finish its transaction before the partitions are revoked; the next assignment may return them."""
        await self.lanes.hold()
        await super().on_partitions_revoked(revoked)

    async def on_stop(self) -> None:
        """Stops cleanly: transactions finish, then the consumer leaves the group."""
        await self.lanes.close()
        await super().on_stop()

    async def perform_seek(self) -> None:
        """Does nothing: Faust would seek to the committed offsets, which are only a hint here; lanes set their own positions."""

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109 # Faust's signature
        """Fetches and delivers without interruption: a seek in between would mix records of two positions."""
        async with self._positioning:
            wanted = {tp for tp in active_partitions or () if self.lanes.wants((tp.topic, tp.partition))}
            fetched = await super()._getmany(wanted, min(timeout, _FETCH_S)) if wanted else {}
            for tp, batch in fetched.items():
                self.lanes.deliver((tp.topic, tp.partition), batch)
            self._handed_over.update((tp, self._position(tp)) for tp in wanted)
        if not wanted:
            await asyncio.sleep(_IDLE_S)
        return {}

    async def getmany(self, timeout: float) -> AsyncIterator[Any]:  # noqa: ASYNC109 # Faust's signature
        """Keeps delivering records to the lanes; yields nothing, because no stream reads these topics."""
        await self._wait_next_records(timeout)
        nothing: tuple[Any, ...] = ()
        for record in nothing:  # makes this an async generator, as Faust expects
            yield record

    # -- ports of adapters.lanes.lane.Positions ---------------------------------------------------------------------------

    async def seek_lane(
        self,
        offsets: Mapping[TopicPartitionKey, int | None],
        wanted: Callable[[], bool],
        ready: Callable[[], None],
    ) -> None:
        """See lanes.Positions. An offset that retention has deleted is replaced by the earliest one left.

        Raises Misconfigured if a topic ends before the offset up to which it was applied: the broker lost its newest records.
        """
        partitions = {source: TP(*source) for source in offsets}
        earliest = await self.earliest_offsets(*partitions.values())
        ends = await self.highwaters(*partitions.values())
        positions = {}
        for source, tp in partitions.items():
            applied = offsets[source] or 0
            if applied > ends[tp]:
                raise Misconfigured(
                    f"{tp.topic}[{tp.partition}] ends at offset {ends[tp]}, but was already applied up to offset {applied}.",
                    "the broker has lost its newest records: restore them from a backup, or delete and recreate the topic "
                    "(`attune topics apply`): it is then read from the beginning",
                )
            if earliest[tp] > applied and offsets[source] is not None:
                log.error("%s[%d]: retention has deleted %d unread records", *tp, earliest[tp] - applied)
            positions[tp] = max(applied, earliest[tp])
        async with self._positioning:
            if wanted():
                for tp in positions:
                    self._handed_over.pop(tp, None)
                    self._horizons[tp] = Horizon(self.lanes.hold_lag_s)
                await self.seek_wait(positions)
                ready()

    async def commit_hint(self, offsets: Mapping[TopicPartitionKey, int]) -> None:
        """See lanes.Positions."""
        await self._commit({TP(*source): offset for source, offset in offsets.items()})

    def horizon_s(self, source: TopicPartitionKey) -> float:
        """See lanes.Positions."""
        position, horizon = self._handed_over.get(TP(*source)), self._horizons.get(TP(*source))
        return NEVER_S if position is None or horizon is None else horizon.reached_s(position)

    def handed_over(self, source: TopicPartitionKey) -> int | None:
        """See lanes.Positions."""
        return self._handed_over.get(TP(*source))

    def rejoin(self) -> None:
        """See lanes.Positions. Refreshes the metadata first: the group leader assigns only topics that it knows."""
        consumer = self._thread._ensure_consumer()

        async def request() -> None:
            await consumer._client.force_metadata_update()
            consumer._coordinator.request_rejoin()

        asyncio.run_coroutine_threadsafe(request(), self._thread.thread_loop)

    def ended(self, partition: TopicPartition, end: int, requested_at_s: float) -> None:
        """Records a partition's end offset, as the consumer's thread reports it; ignored until a lane has set its position."""
        horizon = self._horizons.get(TP(partition.topic, partition.partition))
        if horizon is not None:
            horizon.ended(end, requested_at_s)

    def _position(self, tp: TP) -> int | None:
        """Returns the offset at which the next fetch begins; everything before it has been delivered."""
        state = self._state(tp)
        return state._position if state is not None and state.has_valid_position else None

    def _state(self, tp: TP) -> Any:
        """Returns the consumer's state of a partition; None if it is not assigned."""
        subscription = self._thread._ensure_consumer()._subscription.subscription
        assignment = subscription.assignment if subscription else None
        partition = TopicPartition(tp.topic, tp.partition)
        return assignment.state_value(partition) if assignment is not None and partition in assignment.tps else None


class LaneTransport(CommittedTransport):
    """The transport of the roles whose records go to lanes."""

    Consumer = LaneConsumer

    def __init__(self, url: list[URL], app: faust.App, *, lanes: LanesOwner) -> None:
        """`lanes`: the lanes that the consumers of this transport feed."""
        super().__init__(url, app)
        self.lanes = lanes


#: Creates a transport from the broker addresses and the app.
TransportMaker = Callable[[list[URL], faust.App], CommittedTransport]


def install(app: faust.App, transport: TransportMaker) -> None:
    """Makes an app use this transport for consuming and producing."""
    decompression.bound(ForeignRecords if failpoints.reads_any_batch() else MemoryRecords)
    app.transport = transport(app.conf.broker_consumer, app)
    app.producer_transport = CommittedTransport(app.conf.broker_producer, app)
