"""`attune stats` and `attune why` on a real broker: what people read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner

from schemas import codec
from schemas.learning import ArmStatistics, FeedbackMetrics, PolicySnapshot
from schemas.messages import Decision, Feedback, Message, Provenance
from schemas.profiles import ConsentView, ProfileView
from tests.support_workers import prepare, produce
from workers.commands.stats import METRICS, stats
from workers.commands.why import why
from workers.core.guidance import SNAPSHOTS
from workers.settings import Settings, to_environment

pytestmark = pytest.mark.kafka

NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)
CAMPAIGN = "cart-abandonment"


def metrics(partition: int, **fields: Any) -> tuple[bytes, bytes]:
    value = FeedbackMetrics(
        campaign_id=CAMPAIGN,
        partition=partition,
        window_start=NOON,
        window_end=NOON,
        channel="push",
        target_group="young",
        updated_at=NOON,
        **fields,
    )
    return f"{CAMPAIGN}|push||young|1709553600|{partition}".encode(), codec.encode(value)


def snapshot(partition: int, trials: float) -> tuple[bytes, bytes]:
    arms = [ArmStatistics(arm="retired.warm", context="young", trials=trials, rewards=trials / 2)]
    value = PolicySnapshot(campaign_id=CAMPAIGN, partition=partition, arms=arms, taken_at=NOON)
    return f"{CAMPAIGN}|{partition}".encode(), codec.encode(value)


def test_stats_count_the_newest_record_of_each_key_and_add_partitions_up(settings: Settings) -> None:
    settings = prepare(settings)
    runner = CliRunner(env=to_environment(settings))
    assert "Nothing is counted yet" in runner.invoke(stats).stdout
    first = metrics(0, published=1)
    newest = metrics(0, requested=12, holdout=4, published=10, delivered=8, opened=4, machine_opened=3, clicked=2)
    other = metrics(1, requested=10, published=10, delivered=8, converted=1, revenue={"CNY": 1999.0})
    produce(settings, METRICS, [first, other, newest, (b"broken", b"{"), metrics(2, published=99)])
    produce(settings, METRICS, [(metrics(2)[0], None)])
    produce(settings, SNAPSHOTS, [snapshot(0, 1), snapshot(1, 2), snapshot(0, 4)])
    loaded = json.loads(runner.invoke(stats, ["--json"]).stdout)
    (row,) = loaded["rows"]
    counts = row["counts"]
    assert row["key"] == [CAMPAIGN]
    assert (counts["published"], counts["delivered"], counts["revenue"]) == (20, 16, {"CNY": 1999.0})
    retired = next(one for one in loaded["arms"] if one["arm"] == "retired.warm")
    assert (retired["trials"], retired["mean_reward"], retired["chance"]) == (6, 0.5, 0.0)
    shown = runner.invoke(stats, ["--by", "group"])
    assert shown.exit_code == 0, shown.output
    for words in ("young", "opened by machines", "control group", "1,999.00 CNY", "80 %", "retired, warm tone"):
        assert words in shown.stdout
    assert "Nothing is counted yet" in runner.invoke(stats, ["--campaign", "nobody"]).stdout


def test_why_tells_the_answer_of_the_customer_and_survives_garbage(settings: Settings) -> None:
    settings = prepare(settings)
    ids: dict[str, Any] = {"user_id": "ana", "message_id": "m1"}
    decision = Decision(
        **ids,
        decision_id="d1",
        campaign_id=CAMPAIGN,
        occurrence_id="c@0",
        trigger="cart_abandonment",
        decided_at=NOON,
        reason="requested",
    )
    message = Message(
        **ids,
        idempotency_key="m1",
        channel="push",
        campaign_id=CAMPAIGN,
        locale="en",
        body="It waits.",
        send_at=NOON,
        expires_at=NOON,
        provenance=Provenance(decision_id="d1"),
    )
    clicked = Feedback(**ids, event_id="f1", status="clicked", timestamp=NOON)
    produce(settings, "message.decisions", [(b"ana", codec.encode(decision))])
    produce(settings, "messages.push", [(b"ana", codec.encode(message))])
    produce(settings, "message.feedback", [(b"ana", b'{"message_id":"m1"'), (b"ana", codec.encode(clicked))])
    runner = CliRunner(env=to_environment(settings))
    for arguments in (["--user", "ana"], ["--message", "m1"]):
        told = runner.invoke(why, arguments).stdout
        assert "left a cart alone" in told
        assert "push message m1: It waits." in told
        assert told.endswith("came back 2024-03-04 12:00:00 UTC: clicked\n")


def test_why_explains_silence_by_what_is_known(settings: Settings) -> None:
    settings = prepare(settings)
    consent = {"push:marketing": ConsentView(granted=False, captured_at=NOON)}
    view = ProfileView(customer_id="ana", user_id="ana", target_group="young", consent=consent, updated_at=NOON)
    gone = ProfileView(customer_id="bo", updated_at=NOON)
    produce(settings, "customer.profiles", [(b"ana", b"{}"), (b"ana", codec.encode(view))])
    produce(settings, "customer.profiles", [(b"bo", codec.encode(gone)), (b"bo", None)])
    runner = CliRunner(env=to_environment(settings))
    ana = runner.invoke(why, ["--user", "ana"]).stdout
    assert "Nothing was ever decided for customer ana" in ana
    assert "consent to push: refused" in ana
    assert "consent to email: never given" in ana
    assert "was erased, or joined" in runner.invoke(why, ["--user", "bo"]).stdout
    assert "No event of cem has come so far" in runner.invoke(why, ["--user", "cem"]).stdout
