"""Measures the speed of a restore, and the time from a kill -9 to the next event.

As a program (`python -m benchmarks.recovery BROKERS TOPIC FOLDER PARTITIONS`) it restores all partitions of a changelog
concurrently into empty stores, like a worker that owns all of them, and prints one line of JSON.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from benchmarks import broker, seeds
from benchmarks.job import Job, Progress
from benchmarks.processes import running, wait_for
from benchmarks.programs import BY_NAME, OURS, ROOT, ours
from benchmarks.work_unit import differences, make_events, oracle
from workers.adapters.state.recovery import restore
from workers.adapters.state.rocksdb import RocksStore
from workers.settings import Settings


class Restored(msgspec.Struct, kw_only=True):
    """One restore of a whole changelog."""

    profiles: int
    seconds: float
    profiles_per_s: float
    peak_rss_mb: float
    state_mb: float


class Restarted(msgspec.Struct, kw_only=True):
    """Seconds from the process start after kill -9 to the first new event applied, and whether the final state is correct."""

    state_kept_s: float
    state_deleted_s: float
    matches: bool
    wrong: list[str] = []


def bench_restore(settings: Settings, profiles: int) -> Restored:
    """Writes a changelog with `profiles` work-unit profiles and restores it in a new process."""
    topic, folder = f"restore-{profiles}", Path(settings.data_dir) / "restore"
    seeds.work_unit_changelog(settings, topic, profiles)
    try:
        command = [sys.executable, "-m", "benchmarks.recovery", settings.brokers, topic, str(folder)]
        result = subprocess.run(
            [*command, str(settings.partitions)], cwd=ROOT, capture_output=True, text=True, timeout=900, check=True
        )
        measured = json.loads(result.stdout)
        return Restored(
            profiles=profiles,
            seconds=measured["seconds"],
            profiles_per_s=profiles / measured["seconds"],
            peak_rss_mb=measured["peak_rss_mb"],
            state_mb=folder_mb(folder),
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        broker.delete(settings.brokers, [topic])


def folder_mb(folder: Path) -> float:
    """Returns the disk usage of the files in a folder [MB]."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file()) / 1e6


def bench_restart(settings: Settings, events: int, customers: int, say: Callable[[str], None]) -> Restarted:
    """Kills our work unit twice while it works: the first time its local state is kept, the second time it is deleted."""
    topic, program = "restart-events", BY_NAME[OURS]
    broker.create(settings.brokers, [topic], settings.partitions)
    records = ((event.customer_id.encode(), msgspec.json.encode(event)) for event in make_events(events, customers))
    broker.fill(settings.brokers, topic, records)
    folder = Path(settings.data_dir) / "restart"
    job = Job(program=OURS, brokers=settings.brokers, topic=topic, events=0, name="restart", folder=str(folder))
    took_s: list[float] = []
    for killed in range(3):
        if killed == 2:
            shutil.rmtree(folder / "state")
        started_s = time.perf_counter()
        with running(program, job) as (process, progress):
            before = progress.events
            took_s.append(wait_for(process, progress, job, before + 1) - started_s)
            if killed < 2:
                wait_for(process, progress, job, before + events // 5)
                process.kill()
                process.wait()
            else:
                _until_idle(progress)
    wrong = differences(ours.final_state(job), oracle(make_events(events, customers)))
    say(f"restart after kill -9: {took_s[1]:.1f} s with local state, {took_s[2]:.1f} s without")
    shutil.rmtree(folder, ignore_errors=True)
    return Restarted(state_kept_s=took_s[1], state_deleted_s=took_s[2], matches=not wrong, wrong=wrong)


def _until_idle(progress: Progress) -> None:
    """Waits until no event was applied for two seconds: the topic is read to its end."""
    last, since_s = -1, time.perf_counter()
    while time.perf_counter() - since_s < 2.0:
        now = progress.events
        if now != last:
            last, since_s = now, time.perf_counter()
        time.sleep(0.05)


def _restore_all(brokers: str, topic: str, folder: Path, partitions: int) -> None:
    started_s = time.perf_counter()

    def one(partition: int) -> None:
        store = RocksStore(folder / str(partition))
        restore(store, topic, partition, {"bootstrap.servers": brokers}, lambda _key, _value: [])
        store.close()

    with ThreadPoolExecutor(partitions) as threads:
        list(threads.map(one, range(partitions)))
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
    print(json.dumps({"seconds": time.perf_counter() - started_s, "peak_rss_mb": peak}))


if __name__ == "__main__":
    _restore_all(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
