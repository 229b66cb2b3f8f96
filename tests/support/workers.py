"""Runs real roles as processes, and reads their topics."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from workers.adapters.kafka import topic_admin
from workers.adapters.kafka.config import client_config
from workers.adapters.state.recovery import MARKER_KEY
from workers.core.partition import keys
from workers.core.profile import model as profiles
from workers.core.profile.model import Profile
from workers.core.stream.records import Record
from workers.settings import Settings, to_environment

ROOT = Path(__file__).resolve().parents[2]


def prepare(settings: Settings) -> Settings:
    """Creates the topics; returns settings with which workers use any free metrics port."""
    topic_admin.apply(settings)
    ports = {f"metrics_port_{role}": 0 for role in ("intake", "personalise", "generate", "learn", "deliver")}
    return settings.changed(**ports)


@contextmanager
def worker(role: str, settings: Settings, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Runs one role inside the block; it is always stopped at the end. Its log is `<data_dir>/<role>.log`."""
    log = Path(settings.data_dir) / f"{role}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "workers.cli", "worker", role],
            cwd=ROOT,
            env={**os.environ, **to_environment(settings), **environment},
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def produce(settings: Settings, topic: str, records: list[tuple[bytes | None, bytes | None]]) -> None:
    """Sends (key, value) records with the partitioner of Java's clients; returns when all are delivered."""
    failed: list[str] = []

    def delivered(error: object, _message: object) -> None:
        if error is not None:
            failed.append(str(error))

    config = {**client_config(settings), "enable.idempotence": True, "partitioner": "murmur2_random", "linger.ms": 5}
    producer = Producer(config)
    for key, value in records:
        while True:
            try:
                producer.produce(settings.topic(topic), key=key, value=value, on_delivery=delivered)
                break
            except BufferError:  # the queue is full
                producer.poll(0.1)
        producer.poll(0)
    assert producer.flush(60) == 0
    assert failed == []


def read(settings: Settings, topic: str, isolation: str = "read_committed") -> list[Record]:
    """Returns all records of a topic."""
    consumer = Consumer(
        {
            **client_config(settings),
            "group.id": "test-reader",
            "isolation.level": isolation,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        }
    )
    name = settings.topic(topic)
    partitions = sorted(consumer.list_topics(name, timeout=10).topics[name].partitions)
    consumer.assign([TopicPartition(name, partition, 0) for partition in partitions])
    ended: set[int | None] = set()
    records = []
    while len(ended) < len(partitions):
        for message in consumer.consume(5000, 1.0):
            error = message.error()
            if error is not None:
                assert error.code() == KafkaError._PARTITION_EOF, error
                ended.add(message.partition())
                continue
            records.append(
                Record(
                    topic=topic,
                    partition=message.partition() or 0,
                    offset=message.offset() or 0,
                    key=message.key(),
                    value=message.value(),
                    appended_at_s=message.timestamp()[1] / 1000,
                )
            )
    consumer.close()
    return records


def committed_profiles(settings: Settings) -> dict[str, Profile]:
    """Returns every profile in the changelog, as a restore would find it."""
    newest = {record.key: record.value for record in read(settings, "personalise-state")}
    return {
        key[1:].decode(): profiles.decode(value)
        for key, value in newest.items()
        if key is not None and value is not None and key != MARKER_KEY and key.startswith(keys.PROFILE)
    }
