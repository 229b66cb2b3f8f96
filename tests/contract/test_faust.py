"""The private corners of Faust and aiokafka that we touch are where we think they are (both are pinned)."""

from __future__ import annotations

import asyncio
import inspect
import time
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import aiokafka
import faust
import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState, TopicPartitionState
from faust.transport.consumer import Consumer, ThreadDelegateConsumer
from faust.transport.drivers import aiokafka as driver

from workers.adapters.kafka import topic_admin
from workers.adapters.lanes.faust_app import make_app
from workers.adapters.lanes.faust_transport import (
    CommittedConsumer,
    CommittedThread,
    CommittedTransport,
    IdempotentProducer,
    LaneConsumer,
    LaneThread,
    LaneTransport,
    TransportMaker,
    let_gather,
    limit_close,
    report_ends,
)
from workers.settings import Settings
from workers.settings_loader import load

#: Nothing is fetched here, so there is nobody to feed.
LANES = partial(LaneTransport, lanes=cast("Any", None))


def app(transport: TransportMaker, tmp_path: Any, **changes: Any) -> faust.App:
    settings: Settings = load({}, brokers="127.0.0.1:1", data_dir=str(tmp_path), **changes)
    return make_app(settings, "personalise", transport, wait_empty=False)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (driver.AIOKafkaConsumerThread, "_create_worker_consumer"),
        (driver.AIOKafkaConsumerThread, "_ensure_consumer"),
        (driver.AIOKafkaConsumerThread, "on_start"),
        (driver.Producer, "_ensure_producer"),
        (driver.Producer, "on_start"),
        (driver.Consumer, "_new_consumer_thread"),
        (driver.Producer, "_settings_extra"),
        (ThreadDelegateConsumer, "_getmany"),
        (ThreadDelegateConsumer, "_commit"),
        (Consumer, "_wait_next_records"),
        (Consumer, "on_partitions_assigned"),
        (Consumer, "on_partitions_revoked"),
        (Consumer, "perform_seek"),
        (SubscriptionState, "subscription"),
        (TopicPartitionState, "has_valid_position"),
        (GroupCoordinator, "request_rejoin"),
        (AIOKafkaClient, "force_metadata_update"),
    ],
)
def test_a_name_that_is_overridden_or_called_exists(owner: type, name: str) -> None:
    assert hasattr(owner, name)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (LaneConsumer._getmany, ThreadDelegateConsumer._getmany),
        (LaneConsumer.getmany, Consumer.getmany),
        (LaneConsumer.on_partitions_assigned, Consumer.on_partitions_assigned),
        (LaneConsumer.on_partitions_revoked, Consumer.on_partitions_revoked),
        (CommittedThread._create_worker_consumer, driver.AIOKafkaConsumerThread._create_worker_consumer),
    ],
)
def test_an_override_takes_what_faust_gives(ours: Any, theirs: Any) -> None:
    assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)


def test_a_fetcher_asks_as_its_attributes_say_each_time() -> None:
    assert list(inspect.signature(Fetcher._proc_fetch_request).parameters) == [
        "self",
        "assignment",
        "node_id",
        "request",
    ]
    assert "self._proc_fetch_request(" in inspect.getsource(Fetcher._fetch_requests_routine)
    each_request = inspect.getsource(Fetcher._get_actions_per_node)
    assert "self._fetch_min_bytes" in each_request
    assert "self._fetch_max_wait_ms" in each_request


def test_records_that_keep_coming_gather_at_the_broker_until_they_are_enough(settings: Settings) -> None:
    large = bytes(70_000)
    topic = settings.topic("customer.events")
    topic_admin.apply(settings)

    async def batches() -> list[list[bytes]]:
        consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=settings.brokers, auto_offset_reset="earliest")
        producer = aiokafka.AIOKafkaProducer(bootstrap_servers=settings.brokers, linger_ms=0)
        await consumer.start()
        await producer.start()
        try:
            let_gather(consumer._fetcher, lambda: 15.0)
            consumer.assign([aiokafka.TopicPartition(topic, 0)])
            await producer.send_and_wait(topic, b"first", partition=0)
            found = [await consumer.getmany(timeout_ms=20_000)]
            for late in (b"second", large):
                await producer.send_and_wait(topic, late, partition=0)
            found.append(await consumer.getmany(timeout_ms=20_000))
        finally:
            await producer.stop()
            await consumer.stop()
        return [[record.value for records in batch.values() for record in records] for batch in found]

    assert asyncio.run(batches()) == [[b"first"], [b"second", large]]


def test_an_answer_tells_where_a_partition_ends_with_what_an_open_transaction_hides(settings: Settings) -> None:
    """And the position passes what is no record, so that a source which ends in it is read to its end."""
    topic = settings.topic("customer.events")
    topic_admin.apply(settings)
    partition = aiokafka.TopicPartition(topic, 0)
    told: list[tuple[int, float]] = []

    async def at_end(consumer: aiokafka.AIOKafkaConsumer, end: int) -> list[bytes]:
        """Reads until an answer tells of this end and the position is there; returns the values read."""
        found: list[bytes] = []
        told.clear()
        while (end, True) not in [(seen, await consumer.position(partition) >= end) for seen, _ in told[-1:]]:
            batch = await consumer.getmany(timeout_ms=100)
            found += [record.value for records in batch.values() for record in records]
        return found

    async def hidden(consumer: aiokafka.AIOKafkaConsumer, end: int) -> int:
        """Reads until an answer tells of this end; returns the position."""
        told.clear()
        while end not in [seen for seen, _ in told]:
            assert await consumer.getmany(timeout_ms=100) == {}
        return int(await consumer.position(partition))

    async def run() -> None:
        options = {"bootstrap_servers": settings.brokers}
        consumer = aiokafka.AIOKafkaConsumer(
            **options, auto_offset_reset="earliest", isolation_level="read_committed", fetch_max_wait_ms=100
        )
        producer = aiokafka.AIOKafkaProducer(**options, transactional_id=f"{settings.prefix}a")
        await consumer.start()
        await producer.start()
        try:
            report_ends(consumer._fetcher, lambda _tp, end, requested_at_s: told.append((end, requested_at_s)))
            consumer.assign([partition])
            assert await at_end(consumer, 0) == []
            began_s = time.monotonic()
            await producer.begin_transaction()
            await producer.send_and_wait(topic, b"a", partition=0)
            assert await hidden(consumer, 1) == 0, "read committed stops before it"
            assert told[-1][1] >= began_s - 0.2
            await producer.commit_transaction()
            assert await at_end(consumer, 2) == [b"a"], "the marker is no record"
            await producer.begin_transaction()
            await producer.send_and_wait(topic, b"b", partition=0)
            assert await hidden(consumer, 3) == 2
            await producer.abort_transaction()
            assert await at_end(consumer, 4) == [], "nor is what was aborted"
        finally:
            await producer.stop()
            await consumer.stop()

    asyncio.run(asyncio.wait_for(run(), 60))


def test_an_answer_is_told_apart_from_none_by_the_time_that_it_sets() -> None:
    source = inspect.getsource(Fetcher._proc_fetch_request)
    assert "now_ms = int(1000 * time.time())" in source
    assert "tp_state.highwater = highwater\n" in source
    assert "tp_state.timestamp = now_ms\n" in source


def test_lanes_are_fed_by_a_thread_that_lets_records_gather(tmp_path: Any) -> None:
    async def thread() -> CommittedThread:
        made = app(LANES, tmp_path)
        consumer = made.transport.create_consumer(
            callback=made.topics.on_message, on_partitions_revoked=None, on_partitions_assigned=None
        )
        found: CommittedThread = consumer._thread  # type: ignore[attr-defined] # the driver's
        return found

    assert isinstance(asyncio.run(thread()), LaneThread)


def worker_consumer(made: faust.App) -> aiokafka.AIOKafkaConsumer:
    """The aiokafka consumer as the worker's thread would build it; not started."""

    async def build() -> aiokafka.AIOKafkaConsumer:
        consumer = made.transport.create_consumer(
            callback=made.topics.on_message, on_partitions_revoked=None, on_partitions_assigned=None
        )
        return consumer._thread._create_worker_consumer(made.transport)  # type: ignore[attr-defined] # the driver's

    return asyncio.run(build())


@pytest.mark.parametrize("transport", [LANES, CommittedTransport])
def test_every_app_reads_committed_records_with_the_co_partitioning_assignor(
    transport: TransportMaker, tmp_path: Any
) -> None:
    made = app(transport, tmp_path)
    consumer = worker_consumer(made)
    assert consumer._isolation_level == "read_committed"
    assert consumer._partition_assignment_strategy == [made.assignor]
    assert consumer._enable_auto_commit is False
    assert consumer._fetch_max_wait_ms == 100


def test_the_producer_is_idempotent_and_waits_for_all_replicas(tmp_path: Any) -> None:
    producer = app(CommittedTransport, tmp_path).producer_transport.Producer
    assert producer is IdempotentProducer
    assert IdempotentProducer._settings_extra(None) == {"acks": "all", "enable_idempotence": True}  # type: ignore[arg-type]


def test_faust_opens_no_port_and_creates_no_topic(tmp_path: Any) -> None:
    conf = app(LANES, tmp_path).conf
    assert (conf.web_enabled, conf.topic_allow_declare, conf.topic_disable_leader) == (False, False, True)
    assert conf.stream_publish_on_commit is False


def test_a_worker_is_a_static_member_unless_told_otherwise(tmp_path: Any) -> None:
    assert app(LANES, tmp_path, prefix="p.").conf.consumer_group_instance_id == "p.personalise-0"
    assert app(LANES, tmp_path, instance="").conf.consumer_group_instance_id is None


def test_lane_topics_reach_lanes_only() -> None:
    assert issubclass(LaneConsumer, CommittedConsumer)
    assert LaneTransport.Consumer is LaneConsumer
    assert CommittedTransport.Consumer is CommittedConsumer


def test_a_client_closes_though_the_broker_never_says_goodbye(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.adapters.lanes.faust_transport._CLOSE_TIMEOUT_S", 0.01)
    client = AIOKafkaClient.__new__(AIOKafkaClient)

    async def scenario() -> bool:
        never = asyncio.get_running_loop().create_future()
        connection = SimpleNamespace(close=lambda reason: never)
        client._sync_task, client._conns = None, {0: connection}
        limit_close(client)
        await client.close()
        return never.cancelled()

    assert asyncio.run(scenario()), "close ended, and nobody waits any more"
