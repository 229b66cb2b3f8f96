"""Runs the floor: the minimum that does the work in Python, without a framework.

librdkafka batches, msgspec, one RocksDB write batch and one changelog record per changed customer. By default it is at least
once; with `transactions`, each batch of a partition is one transaction with a marker, and RocksDB is written after it.
It has no restore, rebalance, fencing at assignment, metrics, and handling of bad input.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import rocksdict
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from benchmarks import broker
from benchmarks.job import Job, Progress
from benchmarks.work_unit import Profile, decode_event, decode_profile, encode_profile, update

BATCH, CACHE = 10_000, 20_000  # the defaults of our lanes
MARKER = b"\x00offset"
_encode = msgspec.msgpack.Encoder().encode


class Partition:
    """State, cache and (with transactions) producer of one partition."""

    def __init__(self, job: Job, number: int, shared: Producer | None) -> None:
        options = rocksdict.Options(raw_mode=True)
        options.create_if_missing(True)
        self.number = number
        self.changelog = f"{job.name}-changelog"
        self.cache: dict[bytes, Profile] = {}
        self.store = rocksdict.Rdict(str(Path(job.folder) / f"state-{number}"), options)
        self.transactional = shared is None
        if shared is None:
            self.producer = _producer(job, {"transactional.id": f"{job.name}-{number}", "linger.ms": 0})
            self.producer.init_transactions(30)
        else:
            self.producer = shared

    def apply(self, messages: list[Message[bytes, bytes]]) -> rocksdict.WriteBatch:
        """Folds a batch and passes its changelog records to the producer; returns the RocksDB batch to write after the commit."""
        dirty: dict[bytes, Profile] = {}
        for message in messages:
            key = message.key() or b""
            profile = dirty.get(key)
            if profile is None:
                profile = dirty[key] = self._load(key)
            update(profile, decode_event(message.value() or b""))
        if self.transactional:
            self.producer.begin_transaction()
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, profile in dirty.items():
            value = encode_profile(profile)
            self._produce(key, value)
            batch.put(key, value)
        offset = _encode((messages[-1].offset() or 0) + 1)
        batch.put(MARKER, offset)
        if self.transactional:
            self._produce(MARKER, offset)
            self.producer.commit_transaction(30)
        return batch

    def _load(self, key: bytes) -> Profile:
        profile = self.cache.get(key)
        if profile is None:
            stored = self.store.get(key)
            if len(self.cache) >= CACHE:
                del self.cache[next(iter(self.cache))]
            profile = self.cache[key] = decode_profile(stored) if stored is not None else Profile()
        return profile

    def _produce(self, key: bytes, value: bytes) -> None:
        while True:
            try:
                return self.producer.produce(self.changelog, value, key, self.number)
            except BufferError:
                self.producer.poll(0.05)


def _producer(job: Job, config: dict[str, str | int]) -> Producer:
    base: dict[str, str | int | bool] = {
        "bootstrap.servers": job.brokers,
        "enable.idempotence": True,
        "compression.type": "lz4",
        "queue.buffering.max.messages": 200_000,
    }
    return Producer(base | config)


def run(job: Job, progress: Progress) -> None:
    """Reads, folds, writes and commits, batch by batch."""
    broker.create(job.brokers, [f"{job.name}-changelog"], job.partitions, broker.COMPACTED)
    shared = None if job.option == "transactions" else _producer(job, {"linger.ms": 5})
    consumer = Consumer(
        {
            "bootstrap.servers": job.brokers,
            "group.id": job.name,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            **broker.FETCH,
        }
    )
    consumer.subscribe([job.topic])
    partitions: dict[int, Partition] = {}
    done = 0
    while done < job.events:
        by_partition: dict[int, list[Message[bytes, bytes]]] = {}
        messages = consumer.consume(BATCH, 0.1)
        for message in messages:
            by_partition.setdefault(message.partition() or 0, []).append(message)
        batches: list[tuple[Partition, rocksdict.WriteBatch]] = []
        for number, its in by_partition.items():
            if number not in partitions:
                partitions[number] = Partition(job, number, shared)
            batches.append((partitions[number], partitions[number].apply(its)))
        if shared is not None:
            assert shared.flush(30) == 0
        for partition, batch in batches:
            partition.store.write(batch)
        if messages:
            positions = [TopicPartition(job.topic, n, (its[-1].offset() or 0) + 1) for n, its in by_partition.items()]
            done += len(messages)
            if done >= job.events:
                consumer.commit(offsets=positions, asynchronous=False)
            else:
                consumer.commit(offsets=positions, asynchronous=True)
            progress.add(len(messages))
    progress.finish()
    consumer.close()


def final_state(job: Job) -> dict[str, Profile]:
    """Returns the profiles from the changelog."""
    newest = broker.newest_values(job.brokers, f"{job.name}-changelog")
    return {key.decode(): decode_profile(value) for key, value in newest.items() if key != MARKER}
