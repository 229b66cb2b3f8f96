"""A no in twenty spellings on a real Kafka: nobody who said it hears anything, whatever shop, sender or partitioner told it."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka import Producer

from schemas import codec
from schemas.messages import Candidate, Decision, MessageRequest, MessageText
from tests.faults.table import Cases, Row
from tests.support.carts import did, fill_carts, ledger, outcomes, workers
from tests.support.faults import Entry
from tests.support.waiting import wait_until
from tests.support.workers import ROOT, prepare, produce, read, worker
from workers.adapters.kafka.config import client_config
from workers.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

SPEEDUP = 360.0
CONTROL = [f"control-{number}" for number in range(40)]


@pytest.fixture
def running(settings: Settings) -> Settings:
    return prepare(settings.changed(speedup=SPEEDUP, llm="off"))


def segment(user: str, **properties: Any) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {"type": "track", "event": "Consent Updated", "userId": user, "timestamp": now, "properties": properties}


def shops() -> Iterator[tuple[str, dict[str, Any]]]:
    """(customer, what a shop sends for them)."""
    now = datetime.now(UTC)
    said: list[dict[str, Any]] = [
        {"channel": "Push", "status": "unsubscribed"},
        {"channel": " push", "status": "Opted-Out"},
        {"channel": "web push", "status": False},
        {"channel": ["push"], "status": "denied"},
        {"channel": "all", "status": "no"},
        {"channel": "*", "status": None},
        {"channel": "fax", "status": "revoked"},
        {"status": "unsubscribed"},
        {"channel": "push", "purpose": "Marketing", "status": []},
        {"channel": "push", "purpose": "advertising", "status": "0"},
        {"purpose": "all", "status": "false"},
        {"channel": "push,email", "purpose": "newsletter", "status": "withdrawn"},
    ]
    for number, properties in enumerate(said):
        yield f"segment-{number}", segment(f"segment-{number}", **properties)
    event = {"name": "consent_updated", "params": {"channel": "PUSH", "status": "denied"}}
    yield (
        "ga4",
        {"client_id": "1.2", "user_id": "ga4", "timestamp_micros": int(now.timestamp() * 1e6), "events": [event]},
    )
    told = {"external_id": "braze", "name": "Consent Updated", "time": now.isoformat(), "properties": {"status": "no"}}
    yield "braze", {"events": [told]}
    opt_out = {"event_type": "opt_out", "data": {"is_opted_out": True}}
    yield "mparticle", {"user_identities": {"customer_id": "mparticle"}, "events": [opt_out]}
    envelope = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "Consent Updated", "time": now.isoformat()}
    yield "cloud", envelope | {"data": {"userId": "cloud", "channel": "Push", "status": "no"}}


FEEDBACK: dict[str, dict[str, Any]] = {
    "sender-crc32": {"status": "unsubscribed", "channel": "push"},
    "sender-capitals": {"status": "UNSUBSCRIBED", "channel": "PUSH", "rating": None},
    "sender-verb": {"status": "unsubscribe", "channel": "web push", "timestamp": None},
    "sender-spam": {"status": "spam report", "messageId": "m"},
    "sender-bare": {"status": "complained", "timestamp": "soon"},
}


def report(settings: Settings) -> None:
    """Feedback as librdkafka's default partitioner places it (crc32), half of it without a key."""
    producer = Producer({**client_config(settings), "partitioner": "consistent"})
    now = datetime.now(UTC).isoformat()
    for number, (user, told) in enumerate(FEEDBACK.items()):
        value = {"event_id": user, "message_id": "unknown", "user_id": user, "timestamp": now} | told
        key = user.encode() if number % 2 == 0 else None
        producer.produce(settings.topic("message.feedback"), json.dumps(value).encode(), key=key)
    assert producer.flush(30) == 0


def decided(settings: Settings) -> dict[str, str]:
    """customer → the reason of the decision on their cart."""
    found = (codec.decode(Decision, record.value) for record in read(settings, "message.decisions"))
    return {decision.user_id: decision.reason for decision in found}


def heard(settings: Settings) -> set[str]:
    return {
        (record.key or b"").decode()
        for channel in ("push", "email")
        for record in read(settings, f"messages.{channel}")
    }


def test_nobody_hears_anything_after_a_no_in_whatever_words(running: Settings, cases: Cases) -> None:
    users = [*(user for user, _ in shops()), *FEEDBACK]
    assert len(users) >= 20
    allowed = [did(user, "Consent Updated", channel=c, status="granted") for user in users for c in ("push", "email")]
    allowed += [did(user, "Consent Updated", channel="push", status="granted") for user in CONTROL]
    with workers(running, "intake", "personalise", "generate"):
        produce(running, "shop.events", allowed)
        wait_until(lambda: len(read(running, "customer.events")) >= len(allowed), 60, "everybody has said yes")
        refusals = dict(shops())  # later than the yes of everybody
        told = {**refusals, **FEEDBACK}
        everywhere = [user for user in users if "push" not in json.dumps(told[user]).lower()]
        only_push = {user: segment(user, channel="email", status="denied") for user in users if user not in everywhere}
        said = [*refusals.items(), *only_push.items()]
        no: list[tuple[bytes | None, bytes | None]] = [
            (user.encode(), json.dumps(told).encode()) for user, told in said
        ]
        produce(running, "shop.events", no)
        report(running)
        count = len(allowed) + len(no)
        wait_until(lambda: len(read(running, "customer.events")) >= count, 60, "every no is mapped")
        carts = [
            did(user, "Product Added", cart_id=user, product_id="smart-band", price=199) for user in users + CONTROL
        ]
        produce(running, "shop.events", carts)
        wait_until(lambda: len(decided(running)) >= len(users) + len(CONTROL), 60, "every cart is decided")
        assert "requested" in decided(running).values(), decided(running)
        wait_until(lambda: heard(running) & set(CONTROL), 30, "those who said yes hear something")
    reasons = decided(running)
    wrong = sorted(user for user in users if reasons.get(user) != "consent" or user in heard(running))
    assert wrong == [], {user: reasons.get(user) for user in wrong}
    row = Row(
        case="a no in other words: spellings, formats, partitioners",
        injected=f"{len(users)} customers, {len(heard(running))} of {len(CONTROL)} others hear something",
        lost=0,
        duplicated=0,
        differences=len(wrong),
    )
    cases.passed("69-refusals", row)


# -- a no behind a backlog --------------------------------------------------------------------------------------------------

WAITING = [f"waiting-{number}" for number in range(40)]
LOOKS = 20_000
#: With it a partition's backlog is four times what one fetch returns: its end is not in memory before the words are. Otherwise
#: everything may come in one fetch, in any order.
PADDING = 3_200


@pytest.mark.parametrize("told", ["event", "feedback"])
def test_nobody_hears_the_words_that_came_before_their_no_was_read(settings: Settings, told: str, cases: Cases) -> None:
    messages, ended = after_a_backlog(settings, told)
    assert (messages, set(ended)) == (0, {"consent"})
    row = Row(
        case="a no lies behind a backlog, the words came first",
        injected=f"{len(ended)} requests, {LOOKS:,} events, told by {told}",
        lost=0,
        duplicated=0,
        differences=messages,
    )
    cases.passed(f"69-backlog-{told}", row)


def test_without_the_gate_the_words_leave_ahead_of_the_backlog(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTUNE_FAILPOINTS", "unsafe.backlog")
    messages, _ = after_a_backlog(settings, "event", padding=PADDING)
    assert messages > 0


def after_a_backlog(settings: Settings, told: str, padding: int = 0) -> tuple[int, list[str]]:
    """Requests are open and the worker is gone; their words come, then a backlog with everybody's no at its end; the worker
    comes back. Returns (messages published, how the requests ended).

    `padding`: how much longer each event of the backlog is [characters].
    """
    playbook = str(ROOT / "playbooks" / "smart-devices")
    running = prepare(settings.changed(playbook=playbook, speedup=SPEEDUP, llm="off", batch_records=200))
    with worker("personalise", running) as process:
        fill_carts(running, WAITING, "a")
        wait_until(lambda: len(ledger(running)) == len(WAITING), 120, "every cart is decided")
        process.terminate()
        assert process.wait(40) == 0
    requests = [codec.decode(MessageRequest, record.value) for record in read(running, "message.requests")]
    assert len(requests) > len(WAITING) / 2
    words: list[Entry] = [(request.user_id.encode(), codec.encode(candidate(request))) for request in requests]
    produce(running, "message.candidates", words)
    backlog: list[Entry] = [
        did(WAITING[n % len(WAITING)], "Product Viewed", product_id="smart-band", note=noise(padding))
        for n in range(LOOKS)
    ]
    no: list[Entry] = [did(user, "Consent Updated", channel="push", status="unsubscribed") for user in WAITING]
    produce(running, "customer.events", backlog + (no if told == "event" else []))
    if told == "feedback":
        produce(running, "message.feedback", [unsubscribed(request) for request in requests])
    with worker("personalise", running) as process:
        wait_until(lambda: len(outcomes(running)) == len(requests), 90, "every request has ended")
        assert process.poll() is None
    return len(read(running, "messages.push")), [outcome.reason for outcome in outcomes(running)]


def noise(characters: int) -> str:
    """Returns text that no codec makes smaller."""
    return base64.b64encode(os.urandom(characters * 3 // 4)).decode()


def candidate(request: MessageRequest) -> Candidate:
    return Candidate(
        message_id=request.message_id,
        user_id=request.user_id,
        text=MessageText(title="Still here", body="Your smart band is still in your cart."),
        generated_by="template",  # nobody has to look at it
        prompt_version=request.prompt_version,
        generated_at=datetime.now(UTC),
    )


def unsubscribed(request: MessageRequest) -> Entry:
    value = {
        "event_id": f"no-{request.user_id}",
        "message_id": request.message_id,
        "user_id": request.user_id,
        "channel": "push",
        "status": "unsubscribed",
        "timestamp": datetime.now(UTC).isoformat(),
    }
    return request.user_id.encode(), json.dumps(value).encode()
