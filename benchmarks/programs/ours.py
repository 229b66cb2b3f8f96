"""Runs our shell with all its guarantees, and the work unit as its core.

Faust's membership, lanes, one transaction per batch with changelog and marker, fencing, restore, RocksDB after the commit:
the adapters of `personalise`, unchanged.
"""

from __future__ import annotations

from unittest.mock import patch

import faust

from benchmarks import broker
from benchmarks.job import Job, Progress
from benchmarks.work_unit import Profile, decode_event, decode_profile, encode_profile, update
from schemas.topics import COMPACTION
from workers import main
from workers.adapters.kafka.config import client_config
from workers.adapters.lanes.manager import lanes_app
from workers.adapters.lanes.spec import LaneSpec
from workers.adapters.observability.metrics import WorkerMetrics
from workers.adapters.process.liveness import Liveness
from workers.adapters.state.recovery import MARKER_KEY
from workers.core.stream.effects import Effects, Processor
from workers.core.stream.records import Output, Record, StateStore
from workers.settings import Settings
from workers.settings_loader import load


class WorkUnitCore:
    """The pure part of a lane (workers.core.stream.effects.Processor), like `personalise` but with the work unit."""

    def __init__(self, store: StateStore, cache_size: int, output: str = "") -> None:
        self._store = store
        self._cache: dict[bytes, Profile] = {}
        self._cache_size = cache_size
        self._output = output

    def apply(self, records: list[Record], wall_s: float, *, caught_up: bool) -> Effects:
        """See core.stream.effects.Processor; returns changed profiles, and one output per event with an output topic."""
        del caught_up
        effects = Effects(clock_s=wall_s)
        changed: dict[bytes, Profile] = {}
        for record in records:
            key = record.key or b""
            profile = changed.get(key)
            if profile is None:
                profile = changed[key] = self._load(key)
            update(profile, decode_event(record.value or b""))
            if self._output:
                effects.outputs.append(Output(self._output, key, b"%d" % profile.events))
        effects.puts = [(key, encode_profile(profile)) for key, profile in changed.items()]
        surplus = len(self._cache) - self._cache_size
        for key in list(self._cache)[:surplus] if surplus > 0 else ():
            del self._cache[key]
        return effects

    def _load(self, key: bytes) -> Profile:
        profile = self._cache.get(key)
        if profile is None:
            stored = self._store.get(key)
            profile = self._cache[key] = decode_profile(stored) if stored is not None else Profile()
        return profile


class CommitCounter(WorkerMetrics):
    """The worker's metrics, which also report to the benchmark what has been committed and written to RocksDB."""

    def __init__(self, job: Job, progress: Progress) -> None:
        super().__init__()
        self._events = job.events
        self._progress = progress

    def batch(self, stage: str, records: int, commit_s: float, effects: Effects) -> None:
        """See WorkerMetrics.batch."""
        super().batch(stage, records, commit_s, effects)
        done = self._progress.add(records)
        if self._events and done >= self._events:
            self._progress.finish()


def changelog_of(job: Job) -> str:
    """Returns the logical name of the state topic of a run."""
    return f"{job.name}-state"


def settings_of(job: Job) -> Settings:
    """Returns the default settings, with the benchmark's broker and folder."""
    return load(
        {},
        brokers=job.brokers,
        data_dir=job.folder,
        prefix=job.prefix,
        partitions=job.partitions,
        metrics_port_personalise=0,
    )


def run_lanes(job: Job, progress: Progress, spec: LaneSpec, settings: Settings) -> None:
    """Runs the lanes with the workers' own composition root, until the process is stopped; only app and counting differ."""
    changelog = {"cleanup.policy": "compact", **COMPACTION}
    broker.create(job.brokers, [settings.topic(changelog_of(job))], job.partitions, changelog)

    def build(role: str, settings: Settings, metrics: WorkerMetrics, liveness: Liveness) -> faust.App:
        del role
        return lanes_app(spec, settings, client_config(settings), metrics, liveness)

    with (
        patch.object(main, "WorkerMetrics", lambda: CommitCounter(job, progress)),
        patch.object(main, "build", build),
    ):
        main.run("personalise", settings)


def run(job: Job, progress: Progress) -> None:
    """Runs the work unit in lanes."""
    settings = settings_of(job)

    def core(store: StateStore, clock_s: float) -> Processor:
        del clock_s
        return WorkUnitCore(store, settings.profile_cache, job.output)

    spec = LaneSpec(
        role=job.name,
        group=job.name,
        sources=(job.topic,),
        changelog=changelog_of(job),
        lane_of=lambda _topic, partition: str(partition),
        core=core,
    )
    run_lanes(job, progress, spec, settings)


def final_state(job: Job) -> dict[str, Profile]:
    """Returns the profiles from the changelog, committed records only."""
    newest = broker.newest_values(job.brokers, changelog_of(job))
    return {key.decode(): decode_profile(value) for key, value in newest.items() if key != MARKER_KEY}
