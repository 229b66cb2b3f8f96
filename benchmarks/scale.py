"""Measures cost per event and memory with many customers, each with a full profile before the first event."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from benchmarks import broker, load, seeds
from benchmarks.job import Job
from benchmarks.processes import Ended, Run, cpu_s, measure, rss_mb, running, wait_for
from benchmarks.programs import BY_NAME, OURS, PERSONALISE, Program
from benchmarks.programs.ours import changelog_of
from benchmarks.recovery import folder_mb
from benchmarks.work_unit import make_events
from workers.adapters.kafka import topic_admin
from workers.settings import Settings

#: Number of concurrent visits, however many customers exist.
VISITS = 4_000
_SETTLE_TIMEOUT_S, _POLL_S = 300.0, 0.5
#: An idle worker uses less than this share of a core, over so many polls.
_IDLE_CORES, _IDLE_POLLS = 0.3, 6


class Scaled(msgspec.Struct, kw_only=True):
    """The result for one size. `visits` 0: each event is from a random customer. `state_mb`: RocksDB on disk, all lanes."""

    program: str
    customers: int
    visits: int
    run: Run
    state_mb: float


class Soak(msgspec.Struct, kw_only=True):
    """The memory of one worker under load: resident MB after each tenth of its events."""

    customers: int
    events: int
    seconds: float
    rss_mb: list[float]


def bench_soak(settings: Settings, customers: int, events: int, say: Callable[[str], None]) -> Soak:
    """Runs the real role over many events, with new customers throughout."""
    program, name = BY_NAME[PERSONALISE], "soak"
    prefixed = settings.changed(prefix="soak.")
    topic_admin.apply(prefixed)
    broker.fill(settings.brokers, prefixed.topic("customer.events"), load.make_events(events, customers, visits=VISITS))
    job = Job(
        program=program.name,
        brokers=settings.brokers,
        topic="customer.events",
        events=events,
        name=name,
        folder=str(Path(settings.data_dir) / name),
        prefix=prefixed.prefix,
        partitions=settings.partitions,
    )
    resident_mb: list[float] = []
    try:
        with running(program, job) as (process, progress):
            started_s = wait_for(process, progress, job, 1)
            for tenth in range(1, 11):
                ended_s = wait_for(process, progress, job, events * tenth // 10)
                resident_mb.append(rss_mb(process.pid))
    finally:
        shutil.rmtree(job.folder, ignore_errors=True)
        broker.delete(
            settings.brokers, [topic for topic in broker.topics(settings.brokers) if topic.startswith("soak")]
        )
    say(f"memory over {events:,} events: {', '.join(f'{value:,.0f}' for value in resident_mb)} MB")
    return Soak(customers=customers, events=events, seconds=ended_s - started_s, rss_mb=resident_mb)


def bench_scale(settings: Settings, sizes: Sequence[int], events: int, say: Callable[[str], None]) -> list[Scaled]:
    """Measures the work unit and the real role at each size with the same traffic, and at the largest with the worst case."""
    results = []
    cases = [(customers, VISITS) for customers in sizes] + [(max(sizes), 0)]
    for customers, visits in cases:
        for name in (OURS, PERSONALISE):
            result = _one(settings, BY_NAME[name], customers, visits, events)
            say(
                f"{customers:>9,} customers, {visits:5,} visits, {name:18} {result.run.cpu_s_per_100k:6.2f} CPU-s per 100k, "
                f"{result.run.peak_rss_mb:6,.0f} MB resident, {result.state_mb:7,.0f} MB of state"
            )
            results.append(result)
    return results


def _one(settings: Settings, program: Program, customers: int, visits: int, events: int) -> Scaled:
    """Restores all profiles, waits for RocksDB's compaction, and stops; then starts again with that state and measures."""
    name = f"s{customers}-{visits}-{program.module}"
    prefix = "" if program.work_unit else f"{name}."
    prefixed = settings.changed(prefix=prefix)
    topic = f"{name}-events" if program.work_unit else "customer.events"
    job = Job(
        program=program.name,
        brokers=settings.brokers,
        topic=topic,
        events=events,
        name=name,
        folder=str(Path(settings.data_dir) / name),
        prefix=prefix,
        partitions=settings.partitions,
    )
    changelog = prefixed.topic(changelog_of(job))
    if program.work_unit:
        seeds.work_unit_changelog(settings, changelog, customers)
        broker.create(settings.brokers, [topic], settings.partitions)
        records: Iterator[tuple[bytes, bytes]] = (
            (event.customer_id.encode(), msgspec.json.encode(event))
            for event in make_events(events, customers, visits=visits)
        )
    else:
        seeds.real_changelog(settings, changelog, customers)
        topic_admin.apply(prefixed)
        records = load.make_events(events, customers, visits=visits)
    try:
        _restore(program, msgspec.structs.replace(job, events=0))
        broker.fill(settings.brokers, prefixed.topic(topic), records)
        run = measure(program, job)
        state_mb = folder_mb(Path(job.folder) / "state")
        return Scaled(program=program.name, customers=customers, visits=visits, run=run, state_mb=state_mb)
    finally:
        shutil.rmtree(job.folder, ignore_errors=True)
        leftover = [other for other in broker.topics(settings.brokers) if other.startswith(name)]
        broker.delete(settings.brokers, leftover)


def _restore(program: Program, job: Job) -> None:
    """Waits until every lane is open and RocksDB's background work is done."""
    log, quiet = Path(job.folder) / "log", 0
    deadline_s = time.perf_counter() + _SETTLE_TIMEOUT_S
    with running(program, job) as (process, _):
        before_s = cpu_s(process.pid)
        while quiet < _IDLE_POLLS:
            time.sleep(_POLL_S)
            now_s = cpu_s(process.pid)
            is_open = log.read_text(errors="replace").count(" is open after ") >= job.partitions
            quiet = quiet + 1 if is_open and now_s - before_s < _IDLE_CORES * _POLL_S else 0
            before_s = now_s
            if process.poll() is not None or time.perf_counter() > deadline_s:
                raise Ended(f"{job.program} did not restore its state")
