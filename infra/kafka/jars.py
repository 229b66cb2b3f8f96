"""Fetches Kafka's jars once, with Maven, into a cache folder named after the pom's hash, and verifies each one.

Maven compares each file with the checksum from the same repository; `jars.sha256` holds our own checksums. After a change of
the pom, `python -m infra.kafka.jars --pin` rewrites them, to be reviewed in the diff.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from infra.kafka.java import HINT, find_java
from workers.core.errors import Unavailable
from workers.settings import ROOT

POM = Path(__file__).with_name("pom.xml")
#: The checksums, in the format of sha256sum.
CHECKSUMS = Path(__file__).with_name("jars.sha256")
FETCH_TIMEOUT_S = 900.0
REACHABLE = "is the Maven repository reachable, also through ~/.m2/settings.xml?"


def default_cache(environment: Mapping[str, str] | None = None) -> Path:
    """Returns the folder of the jars: `kafka` in the folder of ATTUNE_CACHE, otherwise in `.cache` of the checkout."""
    environment = os.environ if environment is None else environment
    return Path(environment.get("ATTUNE_CACHE") or ROOT / ".cache").absolute() / "kafka"


def jar_folder(cache: Path, pom: bytes) -> Path:
    """Returns the folder for a pom's jars: a changed pom gets another folder. Pure; it creates nothing."""
    return cache / hashlib.sha256(pom).hexdigest()[:16]


def kafka_version(pom: str) -> str:
    """Returns the Kafka release in a pom, for display; `?` if there is none.

    >>> kafka_version("<artifactId>kafka_2.13</artifactId>  <version>4.4.0</version>")
    '4.4.0'
    """
    found = re.search(r"<artifactId>kafka_2\.13</artifactId>\s*<version>([^<]+)</version>", pom)
    return found[1] if found else "?"


def ensure_jars(cache: Path) -> Path:
    """Returns the folder with every jar that the embedded Kafka needs; fetched by Maven on the first call (about 45 MB).

    The folder is renamed into place when it is complete, so an interrupted fetch leaves nothing behind. Concurrent calls, also
    from other processes, wait for one fetch. Prints one line if it fetches. Raises Unavailable if Java or Maven is missing, if
    Maven fails, or if a jar does not match `jars.sha256`.
    """
    pom = POM.read_bytes()
    folder = jar_folder(cache, pom)
    if folder.is_dir():
        return folder
    find_java()
    maven = shutil.which("mvn")
    if maven is None:
        raise Unavailable("Maven (mvn) is missing; it is needed to fetch Kafka's jars.", HINT)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _exclusive(cache / "lock"):
            if not folder.is_dir():
                _fetch(maven, kafka_version(pom.decode()), folder)
    except OSError as error:
        raise Unavailable(
            f"Kafka's jars cannot be stored in {cache}: {error}.", "set ATTUNE_CACHE to a writable folder"
        ) from error
    return folder


def _fetch(maven: str, version: str, folder: Path) -> None:
    for leftover in folder.parent.glob("partial-*"):  # of a killed fetch: this process holds the lock
        shutil.rmtree(leftover, ignore_errors=True)
    partial = Path(tempfile.mkdtemp(prefix="partial-", dir=folder.parent))
    click.echo(f"kafka: fetching Apache Kafka {version} with Maven into {folder}")
    started = time.monotonic()
    try:
        _copy_dependencies(maven, partial)
        if not any(partial.glob("kafka_2.13-*.jar")):
            raise Unavailable(f"Maven fetched no Kafka jar in {time.monotonic() - started:.0f} s.", f"check {POM}")
        check(partial)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check(folder: Path) -> None:
    """Raises Unavailable, naming the files, if the folder does not contain exactly the jars of `jars.sha256`."""
    actual, expected = checksums(folder), dict(_pinned())
    differing = sorted(name for name in actual.keys() | expected.keys() if actual.get(name) != expected.get(name))
    if differing:
        what = f"Jars in {folder} do not match jars.sha256: {', '.join(differing)}."
        hint = "delete the folder and check the repository; after a change of pom.xml: python -m infra.kafka.jars --pin"
        raise Unavailable(what, hint)


def checksums(folder: Path) -> dict[str, str]:
    """Returns file name → SHA-256 of every file in the folder."""
    digests = {}
    for path in folder.iterdir():
        with path.open("rb") as file:
            digests[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def _pinned() -> Iterator[tuple[str, str]]:
    for line in CHECKSUMS.read_text().splitlines():
        digest, _, name = line.partition("  ")
        yield name, digest


def _copy_dependencies(maven: str, target: Path) -> None:
    command = [
        *(maven, "--batch-mode", "--quiet", "--strict-checksums", "-Dstyle.color=never", "--file", str(POM)),
        *("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={target}"),
    ]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False)  # noqa: S603 - found on the PATH
    except subprocess.TimeoutExpired as error:
        raise Unavailable(
            f"Maven did not finish within {FETCH_TIMEOUT_S:.0f} s.", "is the Maven repository reachable?"
        ) from error
    if result.returncode != 0:
        errors = [line for line in (result.stdout + result.stderr).splitlines() if line.strip()]
        reason = errors[0].removeprefix("[ERROR] ") if errors else f"exit code {result.returncode}"
        raise Unavailable(
            f"Maven could not fetch Kafka's jars: {reason}", "is the Maven repository reachable (~/.m2/settings.xml)?"
        )


@contextmanager
def _exclusive(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # the kernel releases it when the holder dies
        yield


def main(arguments: Sequence[str] = ()) -> int:
    """Runs `make kafka-jars`. Exit code 1, with one line on stderr, if the jars cannot be fetched or do not match.

    `--pin` writes `jars.sha256` from the jars that Maven fetches now.
    """
    try:
        find_java()  # even if the jars exist already: setup is the right time to report it
        if "--pin" in arguments:
            pin()
        check(ensure_jars(default_cache()))
    except Unavailable as error:
        click.echo(f"kafka: {error}", err=True)
        return 1
    return 0


def pin() -> None:
    """Writes `jars.sha256`. Raises Unavailable."""
    maven = shutil.which("mvn")
    if maven is None:
        raise Unavailable("Maven (mvn) is missing; it is needed to fetch Kafka's jars.", HINT)
    with tempfile.TemporaryDirectory() as folder:
        _copy_dependencies(maven, Path(folder))
        lines = [f"{digest}  {name}\n" for name, digest in sorted(checksums(Path(folder)).items())]
    CHECKSUMS.write_text("".join(lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
