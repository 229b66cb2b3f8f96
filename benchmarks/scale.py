"""Cost per event and memory at many customers, each of whom has a full profile before the first event comes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from benchmarks import broker, load, seeds
from benchmarks.job import Job
from benchmarks.processes import Run, measure
from benchmarks.programs import BY_NAME, OURS, PERSONALISE, Program
from benchmarks.programs.ours import changelog_of
from benchmarks.recovery import folder_mb
from benchmarks.work_unit import make_events
from workers.adapters import topic_admin
from workers.settings import Settings


class Scaled(msgspec.Struct, kw_only=True):
    """One size. `state_mb` is RocksDB on disk after the run, all lanes."""

    program: str
    customers: int
    run: Run
    state_mb: float


def bench_scale(settings: Settings, sizes: Sequence[int], events: int, say: Callable[[str], None]) -> list[Scaled]:
    """The work unit and the real role at each size; start-up restores all profiles, and is not part of the cost."""
    results = []
    for customers in sizes:
        for name, number in ((OURS, events), (PERSONALISE, events // 2)):
            result = _one(settings, BY_NAME[name], customers, number)
            say(
                f"{customers:>9,} customers, {name:18} {result.run.cpu_s_per_100k:6.2f} CPU-s per 100k, "
                f"{result.run.peak_rss_mb:6,.0f} MB resident, {result.state_mb:7,.0f} MB of state"
            )
            results.append(result)
    return results


def _one(settings: Settings, program: Program, customers: int, events: int) -> Scaled:
    name = f"s{customers}-{program.module}"
    prefix = "" if program.work_unit else f"s{customers}."
    prefixed = msgspec.structs.replace(settings, prefix=prefix)
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
        made: Iterator[tuple[bytes, bytes]] = (
            (event.customer_id.encode(), msgspec.json.encode(event)) for event in make_events(events, customers)
        )
    else:
        seeds.real_changelog(settings, changelog, customers)
        topic_admin.apply(prefixed)
        made = load.make_events(events, customers)
    broker.fill(settings.brokers, prefixed.topic(topic), made)
    try:
        run = measure(program, job)
        return Scaled(
            program=program.name, customers=customers, run=run, state_mb=folder_mb(Path(job.folder) / "state")
        )
    finally:
        shutil.rmtree(job.folder, ignore_errors=True)
        left = [
            found for found in broker.topics(settings.brokers) if found.startswith((f"s{customers}-", f"s{customers}."))
        ]
        broker.delete(settings.brokers, left)
