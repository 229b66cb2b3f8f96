"""Runs Bytewax: its Kafka source, a stateful map, and its recovery store (SQLite, a snapshot every 10 s, its default).

It writes no changelog and commits no offsets: its guarantee is the newest local snapshot.
"""

from __future__ import annotations

import os
import pickle
import sqlite3
from pathlib import Path

from benchmarks.broker import FETCH
from benchmarks.job import Job, Progress
from benchmarks.work_unit import Profile, decode_event, update


def run(job: Job, progress: Progress) -> None:
    """Runs the flow to the end of the topic and its last snapshot."""
    from bytewax import operators as op  # type: ignore[import-not-found] # noqa: PLC0415 # only in the peers' environment
    from bytewax.connectors.kafka import KafkaSource  # type: ignore[import-not-found] # noqa: PLC0415
    from bytewax.dataflow import Dataflow  # type: ignore[import-not-found] # noqa: PLC0415
    from bytewax.outputs import DynamicSink, StatelessSinkPartition  # type: ignore[import-not-found] # noqa: PLC0415
    from bytewax.recovery import RecoveryConfig, init_db_dir  # type: ignore[import-not-found] # noqa: PLC0415
    from bytewax.testing import run_main  # type: ignore[import-not-found] # noqa: PLC0415

    class NullPartition(StatelessSinkPartition):  # type: ignore[misc]
        def write_batch(self, items: list[object]) -> None: ...

    class NullSink(DynamicSink):  # type: ignore[misc]
        def build(self, step_id: str, worker_index: int, worker_count: int) -> NullPartition:
            return NullPartition()

    def fold(profile: Profile | None, value: bytes) -> tuple[Profile, int]:
        profile = profile if profile is not None else Profile()
        update(profile, decode_event(value))
        progress.add(1)
        return profile, profile.events

    snapshots = _snapshots(job)
    snapshots.mkdir()
    init_db_dir(snapshots, 1)
    flow = Dataflow("bench")
    add_config = {name: str(value) for name, value in FETCH.items()}
    source = KafkaSource([job.brokers], [job.topic], tail=False, batch_size=2000, add_config=add_config)
    messages = op.input("in", flow, source)
    keyed = op.map("key", messages, lambda message: (message.key.decode(), message.value))
    op.output("out", op.stateful_map("profile", keyed, fold), NullSink())
    run_main(flow, recovery_config=RecoveryConfig(str(snapshots)))
    progress.finish()
    os._exit(0)


def final_state(job: Job) -> dict[str, Profile]:
    """Returns the newest profile of each customer from the snapshots."""
    profiles: dict[str, Profile] = {}
    for path in sorted(_snapshots(job).glob("part-*.sqlite3")):
        with sqlite3.connect(path) as database:
            rows = database.execute(
                "SELECT state_key, ser_change FROM snaps WHERE step_id LIKE 'bench.profile%' ORDER BY snap_epoch"
            )
            for customer, change in rows:
                if change is not None:
                    profiles[customer] = pickle.loads(change)  # noqa: S301 # written by the run that the bench started
    return profiles


def _snapshots(job: Job) -> Path:
    return Path(job.folder) / "snapshots"
