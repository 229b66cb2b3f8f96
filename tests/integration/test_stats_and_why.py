"""`attune stats` and `attune why` on a real broker: what people read."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from confluent_kafka import Producer

from schemas import codec
from schemas.learning import ArmStatistics, FeedbackMetrics, PolicySnapshot
from schemas.messages import (
    Candidate,
    Decision,
    Feedback,
    Message,
    MessageText,
    Outcome,
    ProductFacts,
    Provenance,
)
from schemas.profiles import ConsentView, ProfileView
from tests.support.workers import prepare, produce
from workers.adapters.kafka.config import client_config
from workers.adapters.kafka.partitioner import partition_of
from workers.adapters.state.changelog_reader import CHANGELOG as LANE_STATE
from workers.adapters.state.changelog_reader import LaneStates
from workers.commands.inspect.stats import METRICS, stats
from workers.commands.inspect.why import why
from workers.core.common import timestamps
from workers.core.decisioning.control_state import SNAPSHOTS
from workers.core.personalisation.pending import encode_counts
from workers.core.profile import model as profiles
from workers.core.profile.model import Cart, CartLine, OpenRequest, PendingText, Profile
from workers.settings import Settings, to_environment

pytestmark = pytest.mark.kafka

NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)
CAMPAIGN = "cart-abandonment"
#: Whatever day it is: what waits until then is not overdue.
SOON = (datetime.now(UTC) + timedelta(hours=9)).replace(microsecond=0)
SOON_S = SOON.timestamp()
CANDIDATE = Candidate(
    message_id="m1", user_id="ana", text=MessageText(body="It waits."), generated_by="llm", generated_at=NOON
)


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
    for line in ("young", "opened by machines", "control group", "1,999.00 CNY", "80 %", "retired, warm tone"):
        assert line in shown.stdout
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
    produce(settings, "message.cancellations", [(b"ana", b'{"message_id":"m1","reason":"of a later version"}')])
    runner = CliRunner(env=to_environment(settings))
    for arguments in (["--user", "ana"], ["--message", "m1"]):
        told = runner.invoke(why, arguments).stdout
        assert "abandoned a cart" in told
        assert "push message m1: It waits." in told
        assert told.endswith(
            "feedback 2024-03-04 12:00:00 UTC: clicked\n"
            "1 record(s) of message.cancellations cannot be read: a newer version of Attune, or another program, wrote them\n"
            "1 record(s) of message.feedback cannot be read: `attune dlq list` shows why\n"
        )


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
    assert "was erased, or merged" in runner.invoke(why, ["--user", "bo"]).stdout
    assert "No event of cem has been received" in runner.invoke(why, ["--user", "cem"]).stdout


def held_back(**fields: Any) -> Profile:
    """Ana, whose cart reminder was put off to the morning, and whose other text waits for a person."""
    opened = OpenRequest(
        message_id="m1",
        decision_id="d1",
        campaign_id=CAMPAIGN,
        occurrence_id="c2@0",
        channel="push",
        trigger_key="c2",
        locale="en-GB",
        language="en",
        target_group="young",
        product=ProductFacts(product_id="smart-band"),
        requested_at=NOON.timestamp(),
        deadline_at=NOON.timestamp() + 20,
        expires_at=SOON_S + 86_400,
        held=PendingText(text=MessageText(body="It waits."), candidate=CANDIDATE),
    )
    values: dict[str, Any] = {
        "customer_id": "ana",
        "user_id": "ana",
        "timezone": "Europe/Berlin",
        "carts": {"c1": Cart(opened_at=SOON_S - 7200, updated_at=SOON_S - 7200, lines={"b": CartLine("b", price=9.0)})},
        "open": {"m1": opened},
        "timers": {f"quiet|{CAMPAIGN}|c1": SOON_S, "deadline|m1": SOON_S + 60, "view": SOON_S},
    }
    return Profile(**(values | fields))


def lane_state(settings: Settings, *records: tuple[bytes, bytes | None]) -> None:
    """What the lane of ana has committed."""
    producer = Producer(client_config(settings))
    for key, value in records:
        producer.produce(
            settings.topic(LANE_STATE), key=key, value=value, partition=partition_of(b"ana", settings.partitions)
        )
        producer.poll(0)
    assert producer.flush(60) == 0


def test_why_tells_what_waits_and_until_when(settings: Settings) -> None:
    settings = prepare(settings)
    runner = CliRunner(env=to_environment(settings))
    old = held_back(open={}, timers={f"trigger|{CAMPAIGN}|c1": NOON.timestamp()})
    lane_state(settings, (b"pana", profiles.encode(old)), (b"pana", profiles.encode(held_back())), (b"pbo", b"\x80"))
    ana = runner.invoke(why, ["--user", "ana"]).stdout
    assert "Nothing was ever decided" not in ana
    assert ana.startswith(
        "Nothing has been decided for customer ana yet; waiting:\n"
        "not decided yet, cart-abandonment: abandoned a cart (c1)\n"
        f"  waits until {timestamps.local(SOON, 'Europe/Berlin')} for the end of the customer's quiet hours"
    )
    decision = Decision(
        decision_id="d1",
        user_id="ana",
        message_id="m1",
        campaign_id=CAMPAIGN,
        occurrence_id="c2@0",
        trigger="cart_abandonment",
        decided_at=NOON,
        reason="requested",
    )
    produce(settings, "message.decisions", [(b"ana", codec.encode(decision))])
    for arguments in (["--user", "ana"], ["--message", "m1"]):
        told = runner.invoke(why, arguments).stdout
        assert "  still open: waits until" in told
        assert "for a reviewer's verdict" in told
    of_message, of_cart = json.loads(runner.invoke(why, ["--user", "ana", "--json"]).stdout)
    assert (of_message["decision"]["message_id"], of_message["pending"]["reason"]) == ("m1", "review")
    assert (of_cart["decision"], of_cart["pending"]["key"]) == (None, "c1")
    lane_state(settings, (b"pana", None))
    assert "not decided yet" not in runner.invoke(why, ["--user", "ana"]).stdout


def test_what_waits_is_found_however_much_was_written_behind_it(settings: Settings) -> None:
    settings = prepare(settings)
    noise = [(b"pother%d" % number, b"\x80") for number in range(30_000)]
    lane_state(settings, (b"pana", profiles.encode(held_back())), *noise)
    with LaneStates(settings) as states:
        found = states.profile("ana")
        assert found == held_back()
        assert states.profile("nobody") is None


def test_stats_count_what_waits_in_all_lanes(settings: Settings) -> None:
    settings = prepare(settings)
    runner = CliRunner(env=to_environment(settings))
    assert "What is waiting" not in runner.invoke(stats).stdout
    counts = {"delay": 3, "quiet_hours": 2, "rate": 0, "words": 1, "review": 1, "release": 0}
    lane_state(
        settings, (b"n", encode_counts({**counts, "delay": 9})), (b"n", encode_counts(counts)), (b"pbo", b"\x80")
    )
    shown = runner.invoke(stats)
    assert shown.exit_code == 0, shown.output
    assert [int(line.split()[-1]) for line in shown.stdout.splitlines() if line[-6:].strip().isdigit()] == [
        3,
        2,
        0,
        1,
        1,
        0,
    ]
    assert json.loads(runner.invoke(stats, ["--json"]).stdout)["pending"] == counts


def test_stats_of_a_replay_count_its_ledger_and_without_its_prefix_name_it(settings: Settings) -> None:
    settings = prepare(settings)
    replay = prepare(settings.changed(prefix=f"{settings.prefix}replay-a."))
    reasons = ["requested", "requested", "consent", "holdout"]
    decisions = [
        Decision(
            decision_id=f"d{number}",
            user_id="ana",
            campaign_id=CAMPAIGN,
            occurrence_id="c@0",
            trigger="cart_abandonment",
            decided_at=NOON,
            reason=reason,  # type: ignore[arg-type] # one of its values
        )
        for number, reason in enumerate(reasons)
    ]
    ended = Outcome(
        message_id="m0",
        decision_id="d0",
        user_id="ana",
        campaign_id=CAMPAIGN,
        channel="push",
        reason="published",
        requested_at=NOON,
        ended_at=NOON,
    )
    ledger = [(b"ana", codec.encode(one)) for one in [*decisions, decisions[0]]]
    produce(replay, "message.decisions", [*ledger, (b"ana", b"{")])
    produce(replay, "message.outcomes", [(b"ana", codec.encode(ended))])
    runner = CliRunner(env=to_environment(settings))
    nothing = runner.invoke(stats).stdout
    assert "Nothing is counted yet" in nothing
    assert f"  --prefix '{replay.prefix}'\n" in nothing
    found = runner.invoke(stats, ["--prefix", replay.prefix, "--json"])
    (row,) = json.loads(found.stdout)["ledger"]
    assert row["decisions"] == {"requested": 2, "consent": 1, "holdout": 1}
    assert row["outcomes"] == {"published": 1}
    shown = runner.invoke(stats, ["--prefix", replay.prefix]).stdout
    assert "What was decided (`learn` has counted nothing here)" in shown
    assert "ended: it was handed to the sender (published)" in shown
    assert f"`--prefix {replay.prefix}`" in runner.invoke(why, ["--user", "nobody"]).stdout
