"""The embedded Kafka: it starts, keeps its data, refuses clearly, and leaves no process behind."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from infra.kafka.embedded import EmbeddedKafka
from tests.support.waiting import wait_until
from workers.core.errors import Misconfigured, Unavailable
from workers.settings import ROOT

pytestmark = pytest.mark.kafka


def create_topic(bootstrap: str, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(30)


def produce(bootstrap: str, topic: str, value: bytes) -> str | None:
    """The delivery's error, None when it succeeded."""
    errors: list[str | None] = []
    producer = Producer({"bootstrap.servers": bootstrap, "topic.metadata.propagation.max.ms": 1000})
    producer.produce(topic, value, on_delivery=lambda error, _: errors.append(error.name() if error else None))
    assert producer.flush(30) == 0
    return errors[0]


def values(bootstrap: str, topic: str) -> list[bytes | None]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)
    found: list[bytes | None] = []

    def all_read() -> bool:
        found.extend(message.value() for message in consumer.consume(100, 0.2) if not message.error())
        return len(found) >= end

    wait_until(all_read, 30, f"{end} records of {topic}")
    consumer.close()
    return found


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended and waits to be collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@contextmanager
def foreground(data_dir: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "infra.kafka.embedded", "--data-dir", str(data_dir), *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], 60)
    assert ready, "the foreground command said nothing"
    return process.stdout.readline().strip()


def java_of(data_dir: Path) -> int:
    """The pid that the lock file names."""
    return int((data_dir / "lock").read_text().split()[1])


def test_a_restart_keeps_address_topics_and_records(tmp_path: Path) -> None:
    with EmbeddedKafka(tmp_path) as broker:
        before, java = broker.bootstrap, java_of(tmp_path)
        create_topic(before, "kept")
        assert produce(before, "kept", b"1") is None
    assert not is_alive(java)
    assert broker.pid is None
    with EmbeddedKafka(tmp_path) as broker:
        assert broker.bootstrap == before
        assert values(before, "kept") == [b"1"]


def test_no_other_user_can_read_what_the_broker_keeps(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with EmbeddedKafka(tmp_path / "data" / "kafka") as broker:
            create_topic(broker.bootstrap, "kept")
            assert produce(broker.bootstrap, "kept", b"1") is None
    finally:
        os.umask(before)
    found = [tmp_path / "data", *(tmp_path / "data").rglob("*")]
    assert len(found) > 10
    assert [str(path) for path in found if path.stat().st_mode & 0o077] == []


def test_a_kill_of_java_loses_no_acknowledged_record(tmp_path: Path) -> None:
    with EmbeddedKafka(tmp_path) as broker:
        create_topic(broker.bootstrap, "kept")
        assert produce(broker.bootstrap, "kept", b"1") is None
        os.kill(java_of(tmp_path), signal.SIGKILL)
        assert broker.wait() == -signal.SIGKILL
        broker.start()
        assert values(broker.bootstrap, "kept") == [b"1"]


def test_a_taken_port_of_the_last_start_is_replaced(tmp_path: Path) -> None:
    with EmbeddedKafka(tmp_path) as broker:
        before = broker.bootstrap
        create_topic(before, "kept")
    with socket.create_server(("127.0.0.1", int(before.split(":")[1]))), EmbeddedKafka(tmp_path) as broker:
        assert broker.bootstrap != before
        assert "kept" in AdminClient({"bootstrap.servers": broker.bootstrap}).list_topics(timeout=30).topics


def test_a_wanted_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(Unavailable, match=rf"Port {port} of 127\.0\.0\.1 is in use"):
            EmbeddedKafka(tmp_path, port=port).start()


def test_a_port_lost_between_check_and_bind_is_told_from_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.kafka.embedded.is_free", lambda _port: True)
    with socket.create_server(("127.0.0.1", 0)) as server:
        broker = EmbeddedKafka(tmp_path, port=server.getsockname()[1])
        with pytest.raises(
            Unavailable, match=r"(?s)did not start: Java ended.*Address already in use.*choose another port"
        ):
            broker.start()
    assert broker.pid is None


def test_a_second_instance_on_the_folder_is_refused(tmp_path: Path) -> None:
    with EmbeddedKafka(tmp_path) as broker:
        with pytest.raises(Unavailable, match=rf"already running on .* \(process {broker.pid} at {broker.bootstrap}\)"):
            EmbeddedKafka(tmp_path).start()
        assert broker.pid is not None
    EmbeddedKafka(tmp_path / "elsewhere").stop()  # one that never started stops without effect


def test_a_damaged_folder_is_told_with_the_log_and_the_cure(tmp_path: Path) -> None:
    with EmbeddedKafka(tmp_path):
        pass
    (tmp_path / "data" / "meta.properties").unlink()
    with pytest.raises(Unavailable, match=r"(?s)meta\.properties.*move .* away") as caught:
        EmbeddedKafka(tmp_path).start()
    assert "\tat " not in str(caught.value)


def test_a_format_that_was_cut_short_starts_afresh(tmp_path: Path) -> None:
    unfinished = tmp_path / "data.unfinished"
    unfinished.mkdir()
    (unfinished / "meta.properties").write_text("half")
    with EmbeddedKafka(tmp_path) as broker:
        assert broker.pid is not None
    assert not unfinished.exists()


def test_an_option_that_java_refuses_is_told(tmp_path: Path) -> None:
    with EmbeddedKafka(tmp_path):  # formatted
        pass
    with pytest.raises(Unavailable, match=r"(?s)did not start.*Unrecognized VM option 'NoSuchThing'"):
        EmbeddedKafka(tmp_path, jvm_options=("-XX:+NoSuchThing",)).start()


def test_a_folder_with_a_comma_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="comma"):
        EmbeddedKafka(tmp_path / "a,b")


def test_missing_java_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match=r"^Java is missing.*apt-get install openjdk-17-jre-headless maven"):
        EmbeddedKafka(tmp_path / "data").start()
    with foreground(tmp_path / "data") as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert out == ""
    assert err.startswith("kafka: Java is missing")
    assert "Traceback" not in err


def test_topics_are_never_created_by_accident(kafka: EmbeddedKafka) -> None:
    error = produce(kafka.bootstrap, "nobody.made.this", b"1")
    assert error in {"_UNKNOWN_TOPIC", "UNKNOWN_TOPIC_OR_PART"}  # librdkafka's word, or the broker's
    assert "nobody.made.this" not in AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=30).topics


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_the_foreground_command_prints_the_address_and_stops_on_a_signal(tmp_path: Path, signal_number: int) -> None:
    with foreground(tmp_path) as process:
        line = first_line(process)
        assert line.startswith("bootstrap: 127.0.0.1:")
        java = java_of(tmp_path)
        assert is_alive(java)
        process.send_signal(signal_number)
        assert process.wait(120) == 0
        assert not is_alive(java)
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_killed_parent_leaves_no_java_and_a_free_folder(tmp_path: Path) -> None:
    with foreground(tmp_path) as process:
        address = first_line(process).removeprefix("bootstrap: ")
        java = java_of(tmp_path)
        process.kill()
        process.wait(30)
        wait_until(lambda: not is_alive(java), 10, "Java died with its parent")
    with EmbeddedKafka(tmp_path) as broker:
        assert broker.bootstrap == address


def test_java_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    """The kernel's signal follows the forking thread; one that only calls start() may end."""
    import threading

    broker = EmbeddedKafka(tmp_path)
    thread = threading.Thread(target=broker.start)
    thread.start()
    thread.join(60)
    try:
        assert broker.pid is not None
        assert AdminClient({"bootstrap.servers": broker.bootstrap}).list_topics(timeout=10).brokers
    finally:
        broker.stop()
