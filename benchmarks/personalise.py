"""Measures the role `personalise` as a process, from its first committed batch to its last."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from workers.adapters.restore import MARKER_KEY
from workers.adapters.state_store import Marker
from workers.adapters.topic_reader import TopicReader
from workers.settings import Settings, to_environment

_TIMEOUT_S = 600.0
_decode = msgspec.msgpack.Decoder(Marker).decode


def bench_personalise(settings: Settings, events: int) -> dict[str, float]:
    """Events/s between the broker's append times of the first and the last marker; CPU of the whole process, start included."""
    log = (Path(settings.data_dir) / "personalise.log").open("wb")
    environment = {**os.environ, **to_environment(settings)}
    process = subprocess.Popen(
        [sys.executable, "-m", "workers.cli", "worker", "personalise"], env=environment, stdout=log, stderr=log
    )
    try:
        first: dict[int, tuple[float, int]] = {}
        last: dict[int, tuple[float, int]] = {}
        deadline = time.monotonic() + _TIMEOUT_S
        with TopicReader(settings, ["personalise-state"]) as reader:
            while sum(applied for _, applied in last.values()) < events:
                assert process.poll() is None, f"personalise ended: see {log.name}"
                assert time.monotonic() < deadline, "personalise did not finish"
                for record in reader.poll(0.2):
                    if record.key == MARKER_KEY and record.value is not None:
                        applied = _decode(record.value).offsets.get("customer.events", 0)
                        first.setdefault(record.partition, (record.appended_at_s, applied))
                        last[record.partition] = (record.appended_at_s, applied)
        cpu_s = _cpu_s(process.pid)
    finally:
        process.terminate()
        process.wait(30)
        log.close()
    began_s = min(at_s for at_s, _ in first.values())
    measured = sum(last[p][1] - first[p][1] for p in last)
    return {
        "events_per_s": measured / (max(at_s for at_s, _ in last.values()) - began_s),
        "cpu_s_per_100k": cpu_s * 1e5 / events,
    }


def _cpu_s(pid: int) -> float:
    """User and system time of a running process [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
