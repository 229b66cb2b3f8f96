"""The embedded LLM server as a process: how it starts, refuses to start, and ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from infra.llm import process
from infra.llm.locate import LlmServer
from tests.support.waiting import wait_until
from workers.settings import Settings

pytestmark = pytest.mark.llm

SERVER = [sys.executable, "-m", "infra.llm.server"]
STARTER = """
import sys, time
from infra.llm.locate import LlmServer
from workers.settings import Settings
server = LlmServer.start(Settings(data_dir=sys.argv[1]))
print(server.base_url, flush=True)
time.sleep(600)
"""


def listens(base_url: str) -> bool:
    address = urlsplit(base_url)
    return process.answers(address.hostname or "", address.port or 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_with_status_0(number: signal.Signals) -> None:
    with subprocess.Popen(SERVER, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline().startswith("llm: http://127.0.0.1:")
        server.send_signal(number)
        assert server.wait(20) == 0


def test_a_port_that_is_taken_is_said_with_a_cure(tmp_path: Path) -> None:
    with LlmServer.start(Settings(data_dir=str(tmp_path))) as server:
        port = str(urlsplit(server.base_url).port)
        second = subprocess.run([*SERVER, "--port", port], capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 1
        assert "Hint: is the port free?" in second.stderr


def test_leaving_the_context_ends_the_server(tmp_path: Path) -> None:
    with LlmServer.start(Settings(data_dir=str(tmp_path))) as server:
        assert listens(server.base_url)
    assert not server.alive()
    assert not listens(server.base_url)


def test_the_server_dies_with_a_killed_parent(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", STARTER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        base_url = starter.stdout.readline().strip()
        assert listens(base_url)
        starter.kill()
        wait_until(lambda: not listens(base_url), 20, "the orphaned server ends")
