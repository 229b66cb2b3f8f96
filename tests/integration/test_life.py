"""A worker's life as its supervisor sees it: probes, a clean end in every state, and a hard one where nothing else helps."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Consumer, TopicPartition

from infra.kafka.embedded import EmbeddedKafka
from schemas import codec
from tests.integration.test_delivery import EVENTS, check, counted, history, wait_counted
from tests.integration.test_roles import candidates, request
from tests.support.llm import FakeLlm, Fault
from tests.support.waiting import wait_until
from tests.support.workers import prepare, produce, read, worker
from workers.adapters.kafka.config import client_config
from workers.adapters.process.exit_codes import Exit
from workers.settings import Settings

pytestmark = pytest.mark.kafka

STOP_S = 30.0
#: Half of it is what the loop may be silent; the broker allows no shorter one than 6 s.
SESSION_S = 6.0


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    """A broker that a test may stop."""
    with EmbeddedKafka(tmp_path / "kafka") as broker:
        yield broker


def log_of(settings: Settings, role: str) -> str:
    path = Path(settings.data_dir) / f"{role}.log"
    return path.read_text() if path.exists() else ""


def probe(settings: Settings, role: str, path: str = "/readyz") -> tuple[int, str]:
    """The newest process's answer; (0, "") while nobody listens, or when it ends in the middle of its answer."""
    ports = re.findall(r"metrics on http://127\.0\.0\.1:(\d+)/", log_of(settings, role))
    if not ports:
        return 0, ""
    connection = http.client.HTTPConnection("127.0.0.1", int(ports[-1]), timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode().strip()
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()


def wait_ready(settings: Settings, role: str, process: subprocess.Popen[bytes]) -> None:
    def ready() -> bool:
        assert process.poll() is None, log_of(settings, role)[-3000:]
        return probe(settings, role) == (200, "ready")

    wait_until(ready, 90, f"{role} is ready")


def ends(process: subprocess.Popen[bytes], settings: Settings, role: str) -> int:
    """Asks for the end; returns the code, and fails when it takes longer than promised."""
    began_s = time.monotonic()
    process.terminate()
    try:
        code = process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"not ended within {STOP_S} s\n{log_of(settings, role)[-4000:]}") from None
    print(f"{role} ended with {code} after {time.monotonic() - began_s:.1f} s")  # noqa: T201 # seen with -rP
    return code


def open_transactions(settings: Settings, topic: str) -> int:
    """How many partitions of a topic end in a transaction that nobody has finished."""
    ends_by_level = []
    for level in ("read_committed", "read_uncommitted"):
        consumer = Consumer({**client_config(settings), "group.id": "test-ends", "isolation.level": level})
        partitions = [TopicPartition(settings.topic(topic), partition) for partition in range(settings.partitions)]
        ends_by_level.append([consumer.get_watermark_offsets(partition, timeout=10)[1] for partition in partitions])
        consumer.close()
    return sum(committed != end for committed, end in zip(*ends_by_level, strict=True))


def view_event(number: int) -> tuple[bytes | None, bytes | None]:
    event = {"type": "track", "event": "Product Viewed", "messageId": f"m{number}", "userId": "ana"}
    return b"ana", json.dumps({**event, "timestamp": "2026-01-01T00:00:00Z"}).encode()


def ask(settings: Settings, count: int) -> None:
    """So many requests for words."""
    one = request(0)
    many = [msgspec.structs.replace(one, message_id=f"message-{n}", user_id=f"user-{n}") for n in range(count)]
    produce(settings, "message.requests", [(asked.user_id.encode(), codec.encode(asked)) for asked in many])


# -- probes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["intake", "personalise", "learn"])
def test_a_worker_is_ready_when_its_lanes_are_open_and_ends_cleanly(settings: Settings, role: str) -> None:
    running = prepare(settings)
    with worker(role, running) as process:
        wait_ready(running, role, process)
        assert probe(running, role, "/healthz") == (200, "alive")
        assert log_of(running, role).count(" is open after ") == running.partitions
        assert ends(process, running, role) == Exit.OK


def test_generate_is_ready_without_an_llm_because_templates_can_leave(settings: Settings) -> None:
    running = prepare(settings).changed(llm="http://127.0.0.1:9", llm_model="m", llm_deadline_s=1.0)
    with worker("generate", running) as process:
        wait_ready(running, "generate", process)
        assert "Templates are published" in log_of(running, "generate")
        assert ends(process, running, "generate") == Exit.OK


# -- a clean end in every state --------------------------------------------------------------------------------------


def test_the_first_moments_end_cleanly(settings: Settings) -> None:
    running = prepare(settings)
    with worker("personalise", running) as process:
        wait_until(lambda: "metrics on" in log_of(running, "personalise"), 60, "the first line of the log")
        assert ends(process, running, "personalise") == Exit.OK


def test_a_restore_shows_its_progress_is_no_stall_and_is_left_when_asked(settings: Settings) -> None:
    running = prepare(settings).changed(stall_timeout_s=3.0)
    for start in range(0, 800_000, 50_000):
        numbers = range(start, start + 50_000)
        produce(running, "personalise-state", [(b"x%d" % number, b"%d" % number * 40) for number in numbers])
    with worker("personalise", running, ATTUNE_FAILPOINTS="restore.chunk=1:slow") as process:
        wait_until(
            lambda: re.search(r"lane \d: [\d,]+ of [\d,]+ records", probe(running, "personalise")[1]), 60, "progress"
        )
        assert probe(running, "personalise", "/healthz") == (200, "alive")
        assert ends(process, running, "personalise") == Exit.OK
    assert "Traceback" not in log_of(running, "personalise")


def test_a_running_transaction_is_finished_before_the_end(settings: Settings) -> None:
    running = prepare(settings).changed(batch_records=50)
    records, oracle = history()
    produce(running, "customer.events", records)
    with worker("personalise", running) as process:
        wait_counted(running, process, 1)
        assert ends(process, running, "personalise") == Exit.OK
    assert counted(running) < EVENTS, "it was in the middle"
    assert open_transactions(running, "personalise-state") == 0
    with worker("personalise", running) as process:
        wait_counted(running, process, EVENTS)
    check(running, oracle)


def test_a_transaction_that_was_left_open_is_seen(settings: Settings) -> None:
    """The proof that the test above can fail."""
    running = prepare(settings)
    produce(running, "customer.events", history()[0])
    with worker("personalise", running, ATTUNE_FAILPOINTS="lane.before_commit=2") as process:
        process.wait(60)
    assert open_transactions(running, "personalise-state") > 0


def test_texts_in_work_are_left_to_the_next_worker(settings: Settings) -> None:
    with FakeLlm() as llm:
        llm.fault = Fault.SLOW
        running = prepare(settings).changed(llm=llm.base_url, llm_model="fake-1", llm_deadline_s=60.0)
        ask(running, 200)
        with worker("generate", running) as process:
            wait_until(lambda: len(llm.requests) >= running.llm.in_flight, 60, "calls in flight")
            assert ends(process, running, "generate") == Exit.OK
        llm.fault = Fault.GOOD
        llm.release()
        with worker("generate", running) as process:
            wait_until(lambda: len({found.message_id for found in candidates(running)}) == 200, 90, "every request")


@pytest.mark.parametrize("role", ["intake", "learn", "generate"])
def test_without_a_broker_it_ends_in_time(own_kafka: EmbeddedKafka, tmp_path: Path, role: str) -> None:
    running = prepare(Settings().changed(brokers=own_kafka.bootstrap, data_dir=str(tmp_path / "data"), llm="off"))
    with worker(role, running) as process:
        wait_ready(running, role, process)
        own_kafka.stop()
        assert ends(process, running, role) == Exit.OK


def test_a_worker_that_finds_no_broker_ends_in_time(settings: Settings) -> None:
    running = prepare(settings).changed(brokers="127.0.0.1:9")
    with worker("intake", running) as process:
        wait_until(lambda: "metrics on" in log_of(running, "intake"), 60, "the first line of the log")
        assert ends(process, running, "intake") in (Exit.OK, Exit.FAILED)


def test_a_transaction_that_hangs_ends_hard_in_time_and_leaves_nothing(
    own_kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    running = prepare(
        Settings(brokers=own_kafka.bootstrap, data_dir=str(tmp_path / "data"), batch_records=50, stop_timeout_s=3.0)
    )
    records, oracle = history()
    produce(running, "customer.events", records)
    with worker("personalise", running) as process:
        wait_counted(running, process, 1)
        broker = own_kafka.pid
        assert broker is not None
        os.kill(broker, signal.SIGSTOP)
        try:
            assert ends(process, running, "personalise") == Exit.NOT_STOPPED
        finally:
            os.kill(broker, signal.SIGCONT)
    assert "has not stopped within 3 s" in log_of(running, "personalise")
    with worker("personalise", running) as process:
        wait_counted(running, process, EVENTS)
    check(running, oracle)


# -- a hard end where nothing else helps -----------------------------------------------------------------------------


def test_a_lane_whose_transaction_hangs_is_ended_and_its_successor_goes_on(
    own_kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    running = prepare(
        # Room enough for a start beside other tests.
        Settings(brokers=own_kafka.bootstrap, data_dir=str(tmp_path / "data"), batch_records=50, stall_timeout_s=8.0)
    )
    records, oracle = history()
    produce(running, "customer.events", records)
    with worker("personalise", running) as process:
        wait_counted(running, process, 1)
        broker = own_kafka.pid
        assert broker is not None
        os.kill(broker, signal.SIGSTOP)
        try:
            assert process.wait(60) == Exit.STALLED
        finally:
            os.kill(broker, signal.SIGCONT)
    assert re.search(r"CRITICAL .* lane \d has not moved for \d+ s", log_of(running, "personalise"))
    assert "Thread 0x" in log_of(running, "personalise")
    with worker("personalise", running) as process:
        wait_counted(running, process, EVENTS)
    check(running, oracle)


def test_an_idle_worker_outlives_a_broker_that_goes_and_comes_back(own_kafka: EmbeddedKafka, tmp_path: Path) -> None:
    running = prepare(Settings(brokers=own_kafka.bootstrap, data_dir=str(tmp_path / "data"), stall_timeout_s=4.0))
    with worker("personalise", running) as process:
        wait_ready(running, "personalise", process)
        own_kafka.stop()
        gone_s = time.monotonic()
        wait_until(lambda: time.monotonic() - gone_s > 8.0, 20, "twice the limit of a stall")
        own_kafka.start()
        produce(running, "customer.events", [view_event(1)])
        wait_counted(running, process, 1)
        assert ends(process, running, "personalise") == Exit.OK


def test_a_worker_that_was_stopped_and_goes_on_is_not_ended_for_it(settings: Settings) -> None:
    # Room enough for a start beside other tests; half of the session is what a loop may be silent.
    running = prepare(settings).changed(session_timeout_s=4 * SESSION_S, stall_timeout_s=2 * SESSION_S)
    with worker("personalise", running) as process:
        wait_ready(running, "personalise", process)
        os.kill(process.pid, signal.SIGSTOP)
        stopped_s = time.monotonic()
        wait_until(lambda: time.monotonic() - stopped_s > 3 * SESSION_S, 60, "longer than anything may be silent")
        os.kill(process.pid, signal.SIGCONT)
        produce(running, "customer.events", [view_event(1)])
        wait_counted(running, process, 1)
        wait_ready(running, "personalise", process)
        assert ends(process, running, "personalise") == Exit.OK


def test_a_stopped_worker_writes_nothing_after_its_successor(settings: Settings) -> None:
    running = prepare(settings).changed(session_timeout_s=SESSION_S, batch_records=50)
    second = running.changed(data_dir=running.data_dir + "-second", instance="1")
    records, oracle = history()
    produce(running, "customer.events", records)
    with worker("personalise", running) as paused:
        wait_counted(running, paused, 1)
        os.kill(paused.pid, signal.SIGSTOP)
        with worker("personalise", second) as successor:
            wait_counted(running, successor, EVENTS)
            os.kill(paused.pid, signal.SIGCONT)

            def settled() -> bool:
                assert successor.poll() is None
                return paused.poll() is not None or probe(running, "personalise") == (200, "ready")

            wait_until(settled, 60, "the paused worker has ended or has joined again")
            assert paused.poll() in (None, Exit.FENCED, Exit.SOFTWARE)
        check(running, oracle)


@pytest.mark.parametrize("fault", [Fault.SLOW])
def test_generate_with_a_hanging_llm_is_no_stall(settings: Settings, fault: Fault) -> None:
    with FakeLlm() as llm:
        llm.fault = fault
        running = prepare(settings).changed(
            llm=llm.base_url, llm_model="fake-1", llm_deadline_s=3.0, stall_timeout_s=3.0
        )
        ask(running, 24)
        with worker("generate", running) as process:
            wait_until(lambda: len(read(running, "message.candidates")) == 24, 90, "a template for every request")
            assert process.poll() is None
            assert ends(process, running, "generate") == Exit.OK
