"""Starts a program, observes it from outside (/proc and its progress file), and stops it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from benchmarks.job import Job, Progress
from benchmarks.numbers import per_100k
from benchmarks.programs import PEERS_PYTHON, ROOT, Program, kafka_streams

TIMEOUT_S = 900.0
_POLL_S, _MEMORY_S = 0.002, 0.1


class Run(msgspec.Struct, kw_only=True):
    """One run of one program. Rate and CPU are measured over the second half of its events, up to the last commit: this excludes
    start-up and the first (cold) half, and includes work that is deferred to the end. A program that commits rarely also pays
    for what it had not committed at half-time; `whole_events_per_s`, from the first event to the last commit, avoids this, but
    includes the cold half.

    `matches`: whether the final state is that of the oracle; None = there is none to compare. `wrong`: the first differences.
    """

    events_per_s: float
    whole_events_per_s: float
    cpu_s_per_100k: float
    cpu_s_whole: float
    peak_rss_mb: float
    start_s: float
    matches: bool | None = None
    wrong: list[str] = []


class Ended(Exception):
    """Raised if a program exits or hangs before its work is done."""


@contextmanager
def running(program: Program, job: Job) -> Iterator[tuple[subprocess.Popen[bytes], Progress]]:
    """Runs the program as a process inside the block, and stops it at the end."""
    folder = Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    progress = Progress(job.progress)
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(_command(program, job), cwd=ROOT, stdout=log, stderr=log)
        try:
            yield process, progress
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _command(program: Program, job: Job) -> list[str]:
    if program.runs_on == "java":
        return kafka_streams.job_command(job)
    python = str(PEERS_PYTHON) if program.runs_on == "peers" else sys.executable
    text = msgspec.json.encode(job).decode()
    return [python, "-W", "ignore", "-m", "benchmarks.programs", program.module, text]


def measure(program: Program, job: Job) -> Run:
    """Runs the program over all events of the job. Raises Ended with the last lines of its log."""
    started_s = time.perf_counter()
    with running(program, job) as (process, progress):
        first_s = _wait(process, progress, job, 1) - started_s
        half_s, events_then, cpu_then = (
            _wait(process, progress, job, job.events // 2),
            progress.events,
            cpu_s(process.pid),
        )
        rss, polled_s = peak_rss_mb(process.pid), half_s
        while not progress.finished:
            _check_alive(process, job)
            if time.perf_counter() - polled_s > _MEMORY_S:  # it cannot be read after the process has exited
                rss, polled_s = max(rss, peak_rss_mb(process.pid)), time.perf_counter()
            if time.perf_counter() - started_s > TIMEOUT_S:
                raise Ended(f"{program.name} is stuck after {progress.events} events")
            time.sleep(_POLL_S)
        end_s, cpu_end = time.perf_counter(), cpu_s(process.pid)
        measured = max(1, job.events - events_then)
        return Run(
            events_per_s=measured / (end_s - half_s),
            whole_events_per_s=job.events / (end_s - started_s - first_s),
            cpu_s_per_100k=per_100k(cpu_end - cpu_then, measured),
            cpu_s_whole=cpu_end,
            peak_rss_mb=max(rss, peak_rss_mb(process.pid)),
            start_s=first_s,
        )


def _wait(process: subprocess.Popen[bytes], progress: Progress, job: Job, events: int) -> float:
    deadline_s = time.perf_counter() + TIMEOUT_S
    while progress.events < events:
        _check_alive(process, job)
        if time.perf_counter() > deadline_s:
            raise Ended(f"{job.program} is stuck at {progress.events} events")
        time.sleep(_POLL_S)
    return time.perf_counter()


def wait_for(process: subprocess.Popen[bytes], progress: Progress, job: Job, events: int) -> float:
    """Waits for a number of events; returns the time (perf_counter) at which it was reached. Raises Ended."""
    return _wait(process, progress, job, events)


def _check_alive(process: subprocess.Popen[bytes], job: Job) -> None:
    # A finished program may exit between two checks: it stays in /proc until it is waited for.
    if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        return
    if Progress(job.progress).finished:
        return
    lines = (Path(job.folder) / "log").read_text(errors="replace").splitlines()[-12:]
    raise Ended(f"{job.program} exited before its work was done:\n" + "\n".join(lines))


def tree(pid: int) -> list[int]:
    """Returns a process and all its running descendants."""
    members, pending = [], [pid]
    while pending:
        current = pending.pop()
        members.append(current)
        for task in Path(f"/proc/{current}/task").glob("*/children"):
            try:
                pending.extend(map(int, task.read_text().split()))
            except OSError:
                continue  # it has exited in the meantime
    return members


def cpu_s(pid: int) -> float:
    """Returns user and system time of a process, its running children, and those that it has waited for [s]; also of a zombie."""
    ticks = 0
    for member in tree(pid):
        try:
            fields = Path(f"/proc/{member}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def peak_rss_mb(pid: int) -> float:
    """Returns the peak resident memory, summed over the processes of the tree [MB]; 0 for a process that has exited."""
    return sum(_status_kb(member, "VmHWM") for member in tree(pid)) / 1024


def rss_mb(pid: int) -> float:
    """Returns the current resident memory [MB]."""
    return sum(_status_kb(member, "VmRSS") for member in tree(pid)) / 1024


def _status_kb(pid: int, field: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(field + ":")), 0)
