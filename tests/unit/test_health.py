"""What probes are told, by a server that answers although the loop hangs."""

from __future__ import annotations

import http.client
import socket
import threading

import pytest

from workers.adapters.observability.metrics import WorkerMetrics
from workers.adapters.process.liveness import ASSIGNMENT, Liveness
from workers.core.errors import Misconfigured


class Probe:
    """A worker's metrics, served."""

    def __init__(self) -> None:
        self.metrics, self.liveness = WorkerMetrics(), Liveness()
        self.port = self.metrics.serve(self.liveness, 0)

    def ask(self, path: str, method: str = "GET") -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read().decode().strip()
        finally:
            connection.close()


@pytest.fixture
def probe() -> Probe:
    return Probe()


def test_a_worker_is_alive_from_the_start_and_ready_when_its_lanes_are_open(probe: Probe) -> None:
    assert probe.ask("/healthz") == (200, "alive")
    assert probe.ask("/readyz") == (503, "partitions: not assigned yet")
    probe.liveness.awaits(ASSIGNMENT, "")
    probe.liveness.working("lane 2", "340,000 of 1,000,000 records")
    assert probe.ask("/readyz") == (503, "lane 2: 340,000 of 1,000,000 records")
    probe.liveness.working("lane 2")
    assert probe.ask("/readyz") == (200, "ready")
    assert probe.ask("/healthz") == (200, "alive")


def test_a_silent_loop_is_neither_alive_nor_ready(probe: Probe) -> None:
    probe.liveness.awaits(ASSIGNMENT, "")
    probe.liveness.silent_s = 4.0
    assert probe.ask("/healthz")[0] == 200
    probe.liveness.silent_s = 7.0
    assert probe.ask("/healthz") == (503, "the event loop has not answered for 7 s")
    assert probe.ask("/readyz")[0] == 503


def test_many_reasons_are_one_short_line(probe: Probe) -> None:
    probe.liveness.awaits(ASSIGNMENT, "")
    for number in range(100):
        probe.liveness.working(f"lane {number}", "is being opened")
    status, line = probe.ask("/readyz")
    assert status == 503
    assert line.endswith("and 92 more")
    assert len(line) < 400


def test_metrics_stand_beside_the_probes_and_nothing_else_does(probe: Probe) -> None:
    status, page = probe.ask("/metrics")
    assert (status, "attune_records_total" in page) == (200, True)
    assert probe.ask("/metrics?name[]=attune_lanes_open")[0] == 200
    assert probe.ask("/")[0] == 404
    assert probe.ask("/healthz/x")[0] == 404
    assert probe.ask("/healthz", "POST")[0] == 405
    assert probe.ask("/healthz", "HEAD") == (200, "")


@pytest.mark.slow
def test_a_client_that_says_nothing_holds_up_nobody(probe: Probe) -> None:
    silent = [socket.create_connection(("127.0.0.1", probe.port)) for _ in range(20)]
    assert probe.ask("/healthz") == (200, "alive")
    for connection in silent:
        connection.close()


def test_answers_come_at_the_same_time(probe: Probe) -> None:
    answers: list[tuple[int, str]] = []
    threads = [threading.Thread(target=lambda: answers.append(probe.ask("/healthz"))) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [(200, "alive")] * 30


def test_a_taken_port_is_a_wrong_setting(probe: Probe) -> None:
    with pytest.raises(Misconfigured, match=str(probe.port)):
        WorkerMetrics().serve(Liveness(), probe.port)
