"""`attune up` and `attune down`: the whole installation on one machine, and what it says when it cannot start."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.test_demo import processes_of
from tests.support.cli import attune
from tests.support.llm import FakeLlm
from tests.support.waiting import wait_until
from tests.support.workers import ROOT, produce, read
from workers.settings import Settings, to_environment

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(200)]


@pytest.fixture
def alone(tmp_path: Path) -> Settings:
    """An installation on its own embedded Kafka."""
    ports = {f"metrics_port_{role}": 0 for role in ("intake", "personalise", "generate", "learn", "deliver")}
    return Settings().changed(data_dir=str(tmp_path / "data"), **ports)


def test_up_runs_everything_restarts_a_dead_role_and_down_leaves_nothing(alone: Settings, tmp_path: Path) -> None:
    with FakeLlm() as llm:
        webhook = {"deliver_sms": "http://127.0.0.1:9/", "deliver_webhook_secret": "whsec_" + "c2VjcmV0" * 4}
        settings = alone.changed(llm=llm.base_url, **webhook)
        log = tmp_path / "up.log"
        with log.open("wb") as output:
            up = subprocess.Popen(
                [sys.executable, "-m", "workers.cli", "up"],
                cwd=ROOT,
                env={**os.environ, **to_environment(settings)},
                stderr=output,
                stdout=output,
            )
        try:
            wait_until(
                lambda: "running intake, personalise, generate, learn, deliver" in log.read_text(),
                60,
                "everything runs",
            )
            port = (Path(settings.data_dir) / "kafka" / "port").read_text().strip()
            running = settings.changed(brokers=f"127.0.0.1:{port}")
            event = {"type": "track", "event": "Product Viewed", "messageId": "m1", "userId": "ana"}
            event["timestamp"] = datetime.now(UTC).isoformat()
            produce(running, "shop.events", [(None, json.dumps(event).encode())])
            wait_until(lambda: read(running, "customer.profiles"), 60, "Ana's profile")

            intake = next(pid for pid, command in children(settings) if "worker intake" in command)
            os.kill(intake, 9)
            wait_until(lambda: "intake was restarted" in log.read_text(), 60, "intake was restarted")
            event["messageId"] = "m2"
            produce(running, "shop.events", [(None, json.dumps(event).encode())])
            wait_until(lambda: len(read(running, "customer.events")) == 2, 60, "the second event")

            second = attune(settings, "up", code=1)
            assert "is already running on" in second.stderr
            attune(settings, "down")
            assert up.wait(60) == 0
        finally:
            if up.poll() is None:
                up.kill()
                up.wait()
    wait_until(lambda: processes_of(tmp_path) == [], 20, "no process is left")


def children(settings: Settings) -> list[tuple[int, str]]:
    """(pid, command) of the processes that run on a data folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            environment = (process / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if settings.data_dir in environment:
            found.append((int(process.name), command))
    return found


@pytest.mark.parametrize("command", ["up", "demo"])
def test_a_wrong_playbook_stops_the_start_with_file_and_line(alone: Settings, tmp_path: Path, command: str) -> None:
    folder = tmp_path / "playbook"
    shutil.copytree(ROOT / "playbooks" / "smart-devices", folder)
    campaigns = folder / "campaigns.yaml"
    campaigns.write_text(campaigns.read_text().replace("delay_s:", "delay_seconds:"))
    with FakeLlm() as llm:
        settings = alone.changed(playbook=str(folder), llm=llm.base_url)
        finished = attune(settings, command, code=78)
    assert "campaigns.yaml:" in finished.stderr
    assert "delay_seconds" in finished.stderr
    assert "delay_s" in finished.stderr
    assert "Traceback" not in finished.stderr
    assert processes_of(tmp_path) == []


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"ATTUNE_PARTITIONS": "none"}, ["ATTUNE_PARTITIONS"]),
        ({"ATTUNE_BROKERS": "127.0.0.1:9"}, ["127.0.0.1:9"]),
        ({"ATTUNE_LLM": "http://127.0.0.1:9"}, ["127.0.0.1:9"]),
        ({"PATH": "/nowhere"}, ["ava"]),
    ],
)
def test_what_is_missing_is_one_clear_line(
    alone: Settings, tmp_path: Path, environment: dict[str, str], words: list[str]
) -> None:
    with FakeLlm() as llm:
        settings = alone.changed(llm=llm.base_url)
        finished = subprocess.run(
            [sys.executable, "-m", "workers.cli", "up"],
            cwd=ROOT,
            env={**os.environ, **to_environment(settings), **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert finished.returncode in (1, 78)
    assert "Traceback" not in finished.stderr
    assert [word for word in words if word not in finished.stderr] == []
    assert "Hint:" in finished.stderr
    assert processes_of(tmp_path) == []


def test_settings_are_printed_without_secrets(alone: Settings) -> None:
    printed = attune(alone, "settings", ATTUNE_LLM_API_KEY="sesame").stdout
    assert "ATTUNE_PARTITIONS=4" in printed
    assert "sesame" not in printed
