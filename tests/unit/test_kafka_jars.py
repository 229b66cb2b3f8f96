"""Kafka's jars and its Java: the parts that need neither."""

from __future__ import annotations

import hashlib
import re
import stat
from pathlib import Path

import pytest

from infra.kafka import jars, java
from infra.kafka.log_tail import last_lines, log_size
from infra.kafka.properties import render, server_properties
from infra.kafka.startup import start_failure
from workers.core.errors import Unavailable
from workers.settings import ROOT


def program(folder: Path, name: str, body: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH, with a `java` that is new enough."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program(folder, "java", """echo 'openjdk version "21.0.2" 2024-01-16' >&2""")
    monkeypatch.setenv("PATH", str(folder))
    return folder


#: What a Maven that works does: the option -DoutputDirectory=D names where the jars go.
MAVEN = """for a in "$@"; do case "$a" in -DoutputDirectory=*) d="${a#*=}";; esac; done
echo fetched >> "$(dirname "$0")/calls"; : > "$d/kafka_2.13-4.4.0.jar" """


@pytest.fixture(autouse=True)
def _empty_jar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in's jar is the one that was pinned."""
    pinned = tmp_path / "jars.sha256"
    pinned.write_text(f"{hashlib.sha256().hexdigest()}  kafka_2.13-4.4.0.jar\n")
    monkeypatch.setattr(jars, "CHECKSUMS", pinned)


@pytest.mark.parametrize(
    "trick",
    [
        'printf changed > "$d/kafka_2.13-4.4.0.jar"',
        ': > "$d/evil-1.0.jar"',
        'mv "$d/kafka_2.13-4.4.0.jar" "$d/kafka_2.13-4.4.1.jar"',
    ],
    ids=["changed", "one more", "another"],
)
def test_a_jar_that_is_not_the_pinned_one_is_never_used(
    only: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trick: str
) -> None:
    monkeypatch.setenv("PATH", f"{only}:/usr/bin:/bin")
    program(only, "mvn", f"{MAVEN}; {trick}")
    with pytest.raises(Unavailable, match=r"do not match jars.sha256: .*(kafka|evil).*--pin"):
        jars.ensure_jars(tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["lock"]


def test_what_lies_in_the_cache_is_checked_again_by_the_set_up(
    only: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", f"{only}:/usr/bin:/bin")
    monkeypatch.setenv("ATTUNE_CACHE", str(tmp_path / "cache"))
    program(only, "mvn", MAVEN)
    assert jars.main() == 0
    (jar,) = jars.ensure_jars(jars.default_cache()).iterdir()
    jar.write_bytes(b"changed")
    assert jars.main() == 1
    assert "kafka_2.13-4.4.0.jar" in capsys.readouterr().err


def test_pinning_writes_what_maven_brings_now(only: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{only}:/usr/bin:/bin")
    monkeypatch.setenv("ATTUNE_CACHE", str(tmp_path / "cache"))
    before = jars.CHECKSUMS.read_text()
    jars.CHECKSUMS.write_text("")
    program(only, "mvn", MAVEN)
    assert jars.main(["--pin"]) == 0
    assert jars.CHECKSUMS.read_text() == before


def test_every_jar_that_the_pom_names_is_pinned() -> None:
    names = [line.split()[1] for line in Path(jars.__file__).with_name("jars.sha256").read_text().splitlines()]
    for group, artifact, version in re.findall(
        r"<dependency>\s*<groupId>([^<]+)</groupId>\s*<artifactId>([^<]+)</artifactId>\s*<version>([^<]+)</version>",
        jars.POM.read_text(),
    ):
        assert f"{artifact}-{version}.jar" in names, group
    assert names == sorted(set(names))


def test_a_changed_pom_gets_another_folder() -> None:
    cache = Path("/cache")
    assert jars.jar_folder(cache, b"a") == jars.jar_folder(cache, b"a") != jars.jar_folder(cache, b"b")
    assert jars.jar_folder(cache, b"a").parent == cache


def test_the_cache_is_named_by_the_environment() -> None:
    assert jars.default_cache({"ATTUNE_CACHE": "/elsewhere"}) == Path("/elsewhere/kafka")
    assert jars.default_cache({}) == ROOT / ".cache" / "kafka"


def test_the_pom_names_a_kafka_4() -> None:
    assert jars.kafka_version(jars.POM.read_text()).startswith("4.")


@pytest.mark.parametrize(
    ("text", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('openjdk version "25" 2025-09-16', 25),
        ('java version "1.8.0_402"', 8),
        ("command not found", None),
    ],
)
def test_the_java_version_is_read_from_what_java_says(text: str, major: int | None) -> None:
    assert java.major_version(text) == major


def test_an_old_java_is_refused_with_the_cure(only: Path) -> None:
    program(only, "java", """echo 'openjdk version "11.0.22"' >&2""")
    with pytest.raises(Unavailable, match=r"is Java 11; Kafka needs 17 or newer.*apt-get install openjdk-17"):
        java.find_java()


def test_a_java_that_does_not_run_is_refused(only: Path) -> None:
    program(only, "java", "exit 3")
    with pytest.raises(Unavailable, match=r"does not run"):
        java.find_java()


def test_missing_java_and_missing_maven_are_told_apart(only: Path, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"^Maven \(mvn\) is missing.*apt-get install"):
        jars.ensure_jars(tmp_path / "cache")
    (only / "java").unlink()
    with pytest.raises(Unavailable, match=r"^Java is missing.*apt-get install"):
        jars.ensure_jars(tmp_path / "cache")


@pytest.mark.usefixtures("only")
def test_the_command_ends_with_one_line_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ATTUNE_CACHE", str(tmp_path / "cache"))
    assert jars.main() == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("kafka: Maven (mvn) is missing")
    assert captured.err.count("\n") == 1


def test_jars_are_fetched_once_with_one_progress_line(
    only: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", f"{only}:/usr/bin:/bin")  # the stand-in needs dirname
    program(only, "mvn", MAVEN)
    first = jars.ensure_jars(tmp_path / "cache")
    second = jars.ensure_jars(tmp_path / "cache")
    assert first == second
    assert [path.name for path in first.iterdir()] == ["kafka_2.13-4.4.0.jar"]
    assert (only / "calls").read_text() == "fetched\n"
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.parametrize(
    ("maven", "reason"),
    [
        ("echo '[ERROR] Could not transfer artifact'; exit 1", "Could not transfer artifact"),
        ("exit 0", "no Kafka jar"),
    ],
)
def test_a_fetch_that_fails_leaves_nothing_that_counts(only: Path, tmp_path: Path, maven: str, reason: str) -> None:
    program(only, "mvn", maven)
    cache = tmp_path / "cache"
    with pytest.raises(Unavailable, match=reason):
        jars.ensure_jars(cache)
    assert [path.name for path in cache.iterdir()] == ["lock"]


def test_what_a_killed_fetch_left_is_cleaned_up_and_never_used(
    only: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{only}:/usr/bin:/bin")
    program(only, "mvn", MAVEN)
    leftover = tmp_path / "cache" / "partial-killed"
    leftover.mkdir(parents=True)
    (leftover / "kafka_2.13-4.4.0.jar").touch()
    folder = jars.ensure_jars(tmp_path / "cache")
    assert folder.name != leftover.name
    assert not leftover.exists()


def test_the_broker_listens_on_loopback_only_and_creates_no_topic_by_itself() -> None:
    properties = server_properties(Path("/data"), 9092, 9093)
    assert properties["listeners"] == "BROKER://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"
    assert properties["auto.create.topics.enable"] == "false"
    assert render({"a": "b\\c"}) == "a=b\\\\c\n"


def test_the_last_lines_leave_out_earlier_starts_and_stack_frames(tmp_path: Path) -> None:
    log = tmp_path / "kafka.log"
    assert last_lines(log) == []
    log.write_text("an earlier start\n")
    since = log_size(log)
    with log.open("a") as file:
        file.write(
            "ERROR it broke\njava.lang.RuntimeException: why\n\tat kafka.Kafka.main(Kafka.scala)\n\t... 3 more\n"
        )
    assert last_lines(log, since) == ["ERROR it broke", "java.lang.RuntimeException: why"]
    assert last_lines(log, since, count=1) == ["java.lang.RuntimeException: why"]


def test_a_log_that_was_rolled_over_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "kafka.log"
    log.write_text("new\n")
    assert last_lines(log, since=1000) == ["new"]


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("Socket server failed to bind: Address already in use.", "choose another port"),
        ("java.io.IOException: No space left on device", "free disk space"),
        ("Could not reserve enough space for object heap", "free memory"),
        ("No readable meta.properties files found.", "move /data away"),
    ],
)
def test_the_hint_fits_what_the_log_says(line: str, hint: str) -> None:
    error = start_failure("Java ended with exit code 1", [line], Path("/data"))
    assert line in str(error)
    assert hint in error.hint
