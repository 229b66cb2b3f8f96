"""Runs the limit: librdkafka's consumer reads batches, and they are discarded."""

from __future__ import annotations

from confluent_kafka import Consumer

from benchmarks.broker import FETCH
from benchmarks.job import Job, Progress
from benchmarks.work_unit import Profile


def run(job: Job, progress: Progress) -> None:
    """Reads every event once."""
    consumer = Consumer(
        {
            "bootstrap.servers": job.brokers,
            "group.id": job.name,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            **FETCH,
        }
    )
    consumer.subscribe([job.topic])
    while progress.add(len(consumer.consume(2000, 0.1))) < job.events:
        pass
    progress.finish()
    consumer.close()


def final_state(job: Job) -> dict[str, Profile] | None:
    """Returns None: it keeps no state."""
    del job
    return None  # there is nothing to compare
