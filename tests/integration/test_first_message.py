"""docs/senders.md, "Your first message in a minute": the commands as they stand there."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from schemas import codec
from schemas.messages import Message
from tests.support.waiting import wait_until
from tests.support.workers import ROOT, prepare, read, worker
from workers.settings import Settings

pytestmark = pytest.mark.kafka


def test_twenty_customers_who_leave_a_cart_bring_messages_within_a_minute(settings: Settings, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "senders.md").read_text()
    assert "ATTUNE_SPEEDUP=360 attune up --llm off" in page
    assert "python -m examples.first_message --brokers" in page
    fast = prepare(settings.changed(speedup=360.0, llm="off"))
    with ExitStack() as running:
        for role in ("intake", "personalise", "generate"):
            running.enter_context(worker(role, fast))
        command = (sys.executable, "-m", "examples.first_message", "--brokers", fast.brokers)
        subprocess.run([*command, "--topic", fast.topic("shop.events")], cwd=ROOT, check=True)
        wait_until(lambda: read(fast, "messages.email"), 60, "the first message")
        messages = [codec.decode(Message, record.value) for record in read(fast, "messages.email")]
    assert {message.product_id for message in messages} == {"smart-band"}
    assert {message.category for message in messages} == {"marketing"}
