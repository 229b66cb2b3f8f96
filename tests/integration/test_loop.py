"""The whole loop on a real broker: a pause is silence, a no is heard before the next decision, a crash changes no count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from schemas import codec
from schemas.control import ControlSwitch
from schemas.events import Track
from schemas.learning import FeedbackMetrics, PolicySnapshot
from schemas.messages import Feedback, FeedbackStatus, Message
from tests.support.carts import did, fill_carts, ledger, outcomes, workers
from tests.support.learning import Input, Oracle, newest_metrics, sums_of
from tests.support.waiting import wait_until
from tests.support.workers import ROOT, prepare, produce, read
from workers.adapters.kafka.partitioner import partition_of
from workers.adapters.playbook.loader import load_for as load_playbook
from workers.core.playbook.policy import Learning
from workers.core.playbook.time_scaling import accelerate
from workers.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

#: Half an hour of hesitation takes a second.
SPEEDUP = 1800.0
CHANNELS = ("messages.push", "messages.email")
SILENCE = timedelta(seconds=5)


@pytest.fixture
def running(settings: Settings) -> Settings:
    playbook = str(ROOT / "playbooks" / "smart-devices")
    return prepare(settings).changed(playbook=playbook, speedup=SPEEDUP, llm="off", snapshot_interval_s=1.0)


def switch(settings: Settings, scope: str, state: str) -> datetime:
    """Pauses or resumes; returns when the broker took it."""
    value = ControlSwitch(scope=scope, state=state, changed_at=datetime.now(UTC))  # type: ignore[arg-type] # a literal
    produce(settings, "control.switches", [(scope.encode(), codec.encode(value))])
    newest = max(record.appended_at_s for record in read(settings, "control.switches"))
    return datetime.fromtimestamp(newest, UTC)


def decided(settings: Settings, number: int, round_: str) -> bool:
    return sum(decision.occurrence_id.startswith(round_) for decision in ledger(settings)) == number


def ended(settings: Settings) -> bool:
    """Whether every request has its outcome."""
    asked = {decision.message_id for decision in ledger(settings) if decision.reason == "requested"}
    return {outcome.message_id for outcome in outcomes(settings)} == asked


def decided_in_all(settings: Settings, number: int) -> bool:
    return len(ledger(settings)) >= number


def test_what_is_paused_stays_silent_over_a_restart_until_it_is_resumed(running: Settings) -> None:
    # carts a ── sent ── pause ── carts b ── kill -9 all ── carts c ── resume ── carts d ── sent
    users = [f"user-{number}" for number in range(12)]
    with workers(running, "personalise", "generate"):
        fill_carts(running, users, "a")
        wait_until(lambda: decided(running, 12, "a"), 60, "the first carts are decided")
        wait_until(lambda: ended(running), 60, "every request has ended")  # a pause would stop words on their way
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
        wait_until(lambda: ended(running), 60, "every request has ended")

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
        wait_until(lambda: ended(running), 60, "every request has ended")
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


def answer(settings: Settings, answered: set[str]) -> None:
    """Senders report on every new message, and some customers click or buy; who does is a matter of the message's id."""
    messages = [codec.decode(Message, record.value) for topic in CHANNELS for record in read(settings, topic)]
    new = [message for message in messages if message.message_id not in answered]
    answered |= {message.message_id for message in new}
    feedback, orders = [], []
    for message in new:
        taste = int(message.message_id[:4], 16)
        statuses: list[FeedbackStatus] = ["sent", "delivered"]
        if taste % 3 == 0:
            statuses.append("clicked")
        feedback += [
            Feedback(
                event_id=f"{message.message_id}-{status}",
                message_id=message.message_id,
                user_id=message.user_id,
                channel=message.channel,
                status=status,
                timestamp=datetime.now(UTC),
            )
            for status in statuses
        ]
        if taste % 4 == 0:
            order = {"order_id": f"o-{message.message_id}", "total": 20.0, "currency": "EUR", "products": []}
            orders.append(did(message.user_id, "Order Completed", **order))
    produce(settings, "message.feedback", [(one.user_id.encode(), codec.encode(one)) for one in feedback])
    produce(settings, "customer.events", orders)


def what_lies_in_the_topics(settings: Settings) -> list[Input]:
    """Everything that learn reads, as somebody else reads it."""
    events = [codec.decode_event(record.value) for record in read(settings, "customer.events")]
    heard = [codec.decode(Feedback, record.value) for record in read(settings, "message.feedback")]
    return [*ledger(settings), *outcomes(settings), *heard, *(event for event in events if isinstance(event, Track))]


def test_a_restart_of_every_worker_in_the_middle_changes_no_count_and_no_posterior(running: Settings) -> None:
    # carts a ── half decided ── kill -9 all ── carts b, answers ── half ── kill -9 all ── carts c, answers ── the end
    learning = accelerate(load_playbook(running), SPEEDUP).policy.learning
    roles, answered = ("personalise", "generate", "learn"), set[str]()
    users = [f"user-{number}" for number in range(60)]
    for round_ in ("a", "b"):
        with workers(running, *roles):
            fill_carts(running, users, round_)
            half = len(ledger(running)) + len(users) // 2
            wait_until(partial(decided_in_all, running, half), 60, "half of the carts are decided")
            answer(running, answered)
    with workers(running, *roles):
        fill_carts(running, users, "c")
        for round_ in ("a", "b", "c"):
            wait_until(partial(decided, running, len(users), round_), 60, "all carts are decided")
        wait_until(lambda: ended(running), 60, "every request has ended")
        answer(running, answered)
        values = what_lies_in_the_topics(running)
        parts = oracles(running, values, learning)
        expected = {key: row for part in parts for key, row in part.rows.items()}
        wait_until(lambda: sums_of(told(running)) == expected, 60, "all counts are told")
        wait_until(lambda: evidence_differs(running, parts) == [], 60, "the posteriors are those of the oracle")
    assert sum(row["requested"] for row in expected.values() if "requested" in row) > len(users)
    assert sum(row.get("clicked", 0) for row in expected.values()) > 0
    assert sum(row.get("converted", 0) for row in expected.values()) > 0
    assert {decision.snapshot_version for decision in ledger(running)} != {""}, "what was learnt was used"
    ids = [decision.decision_id for decision in ledger(running)]
    assert len(set(ids)) == len(ids)
    sent = [codec.decode(Message, record.value).message_id for topic in CHANNELS for record in read(running, topic)]
    assert len(set(sent)) == len(sent)


def oracles(settings: Settings, values: list[Input], learning: Learning) -> list[Oracle]:
    """One a partition, over the customers of that partition."""
    parts: list[list[Input]] = [[] for _ in range(settings.partitions)]
    for value in values:
        parts[partition_of((value.user_id or "").encode(), settings.partitions)].append(value)
    now_s = datetime.now(UTC).timestamp()
    return [Oracle(part, learning, now_s, number) for number, part in enumerate(parts)]


def told(settings: Settings) -> dict[str, FeedbackMetrics]:
    return newest_metrics((record.key, record.value) for record in read(settings, "feedback.metrics"))


def evidence_differs(settings: Settings, parts: list[Oracle]) -> list[str]:
    """Keys of snapshots that do not say what the oracle says for their moment."""
    newest = {record.key: codec.decode(PolicySnapshot, record.value) for record in read(settings, "policy.snapshots")}
    wrong = []
    for key, snapshot in newest.items():
        expected = parts[snapshot.partition].statistics(snapshot.campaign_id, snapshot.taken_at.timestamp())
        shown = {(arm.context, arm.arm): (arm.trials, arm.rewards, arm.reward_squares) for arm in snapshot.arms}
        known = {arm: (trials, rewards, squares) for arm, (trials, _, rewards, squares) in expected.items()}
        if shown.keys() != known.keys() or any(shown[arm] != pytest.approx(known[arm], abs=1e-9) for arm in shown):
            wrong.append(str(key))
    return wrong
