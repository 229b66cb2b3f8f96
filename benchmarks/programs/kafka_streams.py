"""Runs Kafka Streams: one thread, RocksDB store with a 10 MB cache, changelog; `exactly_once_v2` commits every 100 ms.

The Java source is in infra/bench/kafka-streams; Maven fetches the jars and it is compiled once, both into the cache. Without
javac (only a JRE), Maven or the repository it is left out, and the benchmark reports why.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

from benchmarks import broker
from benchmarks.job import Job, Progress
from benchmarks.work_unit import Profile
from workers.settings import ROOT

SOURCE = ROOT / "infra" / "bench" / "kafka-streams"
JVM = ("-Xmx512m", "-XX:+UseSerialGC", "-Xshare:auto")


class Missing(Exception):
    """Raised if the program cannot run here; the message says why."""


def folder() -> Path:
    """Returns the folder of jars and class, named after the source's hash; it may not exist yet."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(SOURCE.iterdir()))).hexdigest()[:16]
    cache = Path(os.environ.get("ATTUNE_CACHE") or ROOT / ".cache").absolute()
    return cache / "bench-kafka-streams" / digest


def prepare() -> Path:
    """Fetches the jars and compiles on the first call (about 90 MB); returns the folder. Raises Missing."""
    ready = folder()
    if ready.is_dir():
        return ready
    for tool in ("javac", "mvn"):
        if shutil.which(tool) is None:
            raise Missing(f"{tool} is missing (Debian: apt-get install openjdk-17-jdk-headless maven)")
    ready.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix="partial-", dir=ready.parent))
    try:
        maven = ["mvn", "--batch-mode", "--quiet", "--strict-checksums", "--file", str(SOURCE / "pom.xml")]
        copy = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={partial}"]
        _call([*maven, *copy])
        _call(["javac", "-cp", f"{partial}/*", "-d", str(partial), str(SOURCE / "WorkUnit.java")])
        partial.rename(ready)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return ready


def _call(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    if result.returncode != 0:
        raise Missing(f"{command[0]} failed: {(result.stdout + result.stderr).strip()[:300]}")


def command(*arguments: str) -> list[str]:
    """Returns the command line of the Java program. Raises Missing."""
    ready = prepare()
    return ["java", *JVM, "-cp", f"{ready}:{ready}/*", "WorkUnit", *arguments]


def job_command(job: Job) -> list[str]:
    """Returns the command line of a run. Raises Missing."""
    options = [job.option] if job.option else []
    return command(job.brokers, job.topic, str(job.events), job.name, job.folder, *options)


def run(job: Job, progress: Progress) -> None:
    """Replaces this process by the Java program."""
    del progress  # it opens the file itself
    line = job_command(job)
    os.execvp(line[0], line)  # noqa: S606 # our own command line


def final_state(job: Job) -> dict[str, Profile]:
    """Returns the profiles from the store's changelog."""
    newest = broker.newest_values(job.brokers, f"{job.name}-profiles-changelog")
    return {key.decode(): decode(value) for key, value in newest.items()}


def decode(value: bytes) -> Profile:
    """Decodes a profile as written by WorkUnit.java."""
    data = io.BytesIO(value)

    def number(form: str) -> float:
        return float(struct.unpack(f">{form}", data.read(struct.calcsize(form)))[0])

    def text() -> str:
        return data.read(int(number("H"))).decode()

    return Profile(
        events=int(number("q")),
        last_seen=number("d"),
        session_id=text(),
        counts={text(): number("d") for _ in range(int(number("H")))},
        recent=[text() for _ in range(int(number("H")))],
        cart={text(): int(number("i")) for _ in range(int(number("H")))},
    )
