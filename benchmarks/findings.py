"""Defines the findings of a benchmark, by section, with machine and commit."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from benchmarks.cost import Cost
from benchmarks.latency import Latency
from benchmarks.numbers import percentile
from benchmarks.processes import Run
from benchmarks.programs import ROOT
from benchmarks.recovery import Restarted, Restored
from benchmarks.scale import Scaled, Soak
from benchmarks.words import Words

#: The sections of a benchmark, in order → the fields of their findings.
SECTIONS = {
    "events": ("runs", "size", "left_out"),
    "latency": ("latency", "latency_rate", "latency_left_out", "pipe_us"),
    "recovery": ("restored", "restarted"),
    "scale": ("scale", "soak"),
    "cost": ("cost",),
    "words": ("words",),
}


class Findings(msgspec.Struct, kw_only=True):
    """The findings of one benchmark; a section that was not run is empty. `at` is ISO 8601, UTC.

    `left_out` and `latency_left_out`: program → reason. `pipe_us`: round trip of a byte to a process on another core [µs].
    `kept`: section → commit and day of the earlier benchmark that ran it.
    """

    at: str
    hardware: str
    python: str = ""
    commit: str
    kept: dict[str, str] = {}
    size: dict[str, int] = {}
    runs: dict[str, list[Run]] = {}
    left_out: dict[str, str] = {}
    latency: dict[str, Latency] = {}
    latency_rate: int = 0
    latency_left_out: dict[str, str] = {}
    pipe_us: float = 0.0
    restored: Restored | None = None
    restarted: Restarted | None = None
    scale: list[Scaled] = []
    soak: Soak | None = None
    cost: Cost | None = None
    words: list[Words] = []


def completed(found: Findings, before: Findings) -> Findings:
    """Returns the findings, completed with the sections that only an earlier benchmark ran; their origin is kept."""
    kept = {
        section: before.kept.get(section, f"`{before.commit}`, {before.at[:10]}")
        for section, fields in SECTIONS.items()
        if _has(before, fields) and not _has(found, fields)
    }
    values = {name: getattr(before, name) for section in kept for name in SECTIONS[section]}
    return msgspec.structs.replace(found, kept=found.kept | kept, **values)


def _has(found: Findings, fields: tuple[str, ...]) -> bool:
    return any(getattr(found, name) for name in fields)


def here() -> Findings:
    """Returns empty findings for the current time, machine and commit."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return Findings(at=at, hardware=hardware(), python=interpreter(), commit=commit or "unknown")


def interpreter() -> str:
    """Describes the Python that runs our programs and the peers in Python, and its speed here: the median of nine loops."""
    took_ms = []
    for _ in range(9):
        began_s, total = time.process_time(), 0
        for number in range(1_000_000):
            total += number & 3
        took_ms.append(1000 * (time.process_time() - began_s))
    return f"Python {platform.python_version()} (a loop of a million additions: {percentile(took_ms, 0.5):.0f} ms)"


def hardware() -> str:
    """Describes processor, cores and memory."""
    try:
        info = Path("/proc/cpuinfo").read_text()
        model = re.search(r"model name\s*:\s*(.+)", info)
        memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except OSError:
        return platform.machine()
    cores = len(os.sched_getaffinity(0))
    return f"{model[1] if model else platform.machine()}, {cores} cores, {memory_gb:.0f} GB"
