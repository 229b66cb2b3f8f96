"""The whole loop on a real broker: what is paused stays silent, and a no is heard before the next decision."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import msgspec
import pytest

from schemas import codec
from schemas.control import ControlSwitch
from schemas.messages import Decision, Feedback, Message, Outcome
from tests.support import wait_until
from tests.support_workers import ROOT, prepare, produce, read, worker
from workers.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

#: Half an hour of hesitation takes a second.
SPEEDUP = 1800.0
CHANNELS = ("messages.push", "messages.email")
SILENCE = timedelta(seconds=5)
_numbers = count()


@pytest.fixture
def running(settings: Settings) -> Settings:
    playbook = str(ROOT / "playbooks" / "smart-devices")
    return msgspec.structs.replace(
        prepare(settings), playbook=playbook, speedup=SPEEDUP, llm="off", snapshot_interval_s=1.0
    )


@contextmanager
def workers(settings: Settings, *roles: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    with ExitStack() as stack:
        yield [stack.enter_context(worker(role, settings)) for role in roles]


def did(user: str, event: str, **properties: Any) -> tuple[bytes | None, bytes | None]:
    """One event of a customer, now."""
    value = {
        "type": "track",
        "event": event,
        "messageId": f"m{next(_numbers)}",
        "userId": user,
        "timestamp": datetime.now(UTC).isoformat(),
        "context": {"locale": "en-GB", "timezone": "Europe/London"},
        "properties": properties,
    }
    return user.encode(), json.dumps(value).encode()


def fill_carts(settings: Settings, users: list[str], round_: str) -> None:
    """Everybody allows push and leaves a cart."""
    records = []
    for user in users:
        records.append(did(user, "Consent Updated", channel="push", status="subscribed"))
        cart = {"cart_id": f"{round_}-{user}", "product_id": "smart-band", "price": 199, "currency": "CNY"}
        records.append(did(user, "Product Added", **cart))
    produce(settings, "customer.events", records)


def ledger(settings: Settings) -> list[Decision]:
    return [codec.decode(Decision, record.value) for record in read(settings, "message.decisions")]


def outcomes(settings: Settings) -> list[Outcome]:
    return [codec.decode(Outcome, record.value) for record in read(settings, "message.outcomes")]


def switch(settings: Settings, scope: str, state: str) -> datetime:
    """Pauses or resumes; returns when the broker took it."""
    value = ControlSwitch(scope=scope, state=state, changed_at=datetime.now(UTC))  # type: ignore[arg-type] # a literal
    produce(settings, "control.switches", [(scope.encode(), codec.encode(value))])
    newest = max(record.appended_at_s for record in read(settings, "control.switches"))
    return datetime.fromtimestamp(newest, UTC)


def decided(settings: Settings, number: int, round_: str) -> bool:
    return sum(decision.occurrence_id.startswith(round_) for decision in ledger(settings)) == number


def test_what_is_paused_stays_silent_over_a_restart_until_it_is_resumed(running: Settings) -> None:
    # carts a ── sent ── pause ── carts b ── kill -9 all ── carts c ── resume ── carts d ── sent
    users = [f"user-{number}" for number in range(12)]
    with workers(running, "personalise", "generate"):
        fill_carts(running, users, "a")
        wait_until(lambda: decided(running, 12, "a"), 60, "the first carts are decided")
        paused_at = switch(running, "all", "paused")
        fill_carts(running, users, "b")
        wait_until(lambda: decided(running, 12, "b"), 60, "the second carts are decided")
    with workers(running, "personalise", "generate"):
        fill_carts(running, users, "c")
        wait_until(lambda: decided(running, 12, "c"), 60, "the third carts are decided")
        resumed_at = switch(running, "all", "running")
        others = [f"late-{number}" for number in range(12)]
        fill_carts(running, others, "d")
        wait_until(lambda: decided(running, 12, "d"), 60, "the last carts are decided")
        asked = {decision.message_id for decision in ledger(running) if decision.reason == "requested"}
        wait_until(lambda: {o.message_id for o in outcomes(running)} == asked, 60, "every request has ended")

    by_round: dict[str, set[str]] = {}
    for decision in ledger(running):
        by_round.setdefault(decision.occurrence_id[0], set()).add(decision.reason)
    assert by_round["b"] == by_round["c"] == {"paused"}
    assert "requested" in by_round["a"]
    assert "requested" in by_round["d"]
    sent_at = [
        datetime.fromtimestamp(record.appended_at_s, UTC) for topic in CHANNELS for record in read(running, topic)
    ]
    assert [at for at in sent_at if paused_at + SILENCE < at < resumed_at] == []
    assert any(at < paused_at for at in sent_at)
    assert any(at > resumed_at for at in sent_at)


def test_an_unsubscribe_is_heard_before_the_next_decision(running: Settings) -> None:
    # a ── message ── no (by the sender, while no worker runs) and the next cart ── workers back: consent
    users = [f"user-{number}" for number in range(8)]
    with workers(running, "personalise", "generate"):
        fill_carts(running, users, "a")
        wait_until(lambda: decided(running, 8, "a"), 60, "the first carts are decided")
        asked = {decision.message_id for decision in ledger(running) if decision.reason == "requested"}
        wait_until(lambda: {o.message_id for o in outcomes(running)} == asked, 60, "every request has ended")
    messages = [codec.decode(Message, record.value) for topic in CHANNELS for record in read(running, topic)]
    assert messages
    told = {message.user_id for message in messages}
    second = {"product_id": "wireless-earphones", "price": 299, "currency": "CNY"}
    produce(running, "customer.events", [did(user, "Product Added", cart_id=f"b-{user}", **second) for user in told])
    no = [
        Feedback(
            event_id=f"no-{message.message_id}",
            message_id=message.message_id,
            user_id=message.user_id,
            channel=message.channel,
            status="unsubscribed",
            timestamp=datetime.now(UTC),
        )
        for message in messages
    ]
    produce(running, "message.feedback", [(feedback.user_id.encode(), codec.encode(feedback)) for feedback in no])
    with workers(running, "personalise", "generate"):
        wait_until(lambda: decided(running, len(told), "b"), 60, "the second carts are decided")
    assert {d.reason for d in ledger(running) if d.occurrence_id.startswith("b")} == {"consent"}
