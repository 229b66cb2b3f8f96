"""What feedback changes in a profile: a no is heard before the customer's next decision, and nothing else is believed."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from schemas.control import DeadLetter
from tests.support_core import NOON, LaneHarness
from workers.core import recalling
from workers.core.personalise import FEEDBACK

DUE_S = NOON + 1800


def published() -> LaneHarness:
    """ana got a push about a cart at 12:30."""
    lane = LaneHarness()
    lane.run([*lane.allow("push", "email"), lane.add()])
    lane.run([], DUE_S)
    lane.run([lane.candidate(lane.requests[0])], DUE_S)
    assert len(lane.messages) == 1
    return lane


def test_a_no_in_the_same_batch_as_the_due_time_comes_first() -> None:
    # cart-2 is due at 13:30 ── the unsubscribe arrives in the very batch in which its timer fires
    lane = published()
    lane.run([lane.add("cart-2", DUE_S + 1800)], DUE_S + 1800)
    lane.run(
        [lane.feedback("unknown", "unsubscribed", DUE_S + 3000, channel=channel) for channel in ("push", "email")],
        DUE_S + 3600,
    )
    assert [decision.reason for decision in lane.decisions] == ["requested", "consent"]


def test_while_a_backlog_waits_no_timer_fires() -> None:
    lane = published()
    lane.run([lane.add("cart-2", DUE_S + 1800)], DUE_S + 1800)
    lane.run([], DUE_S + 7200, caught_up=False)
    assert len(lane.decisions) == 1


@pytest.mark.parametrize("message", ["the message", "unknown"])
def test_a_no_is_honoured_whatever_message_it_answers(message: str) -> None:
    lane = published()
    about = lane.messages[0] if message == "the message" else message
    lane.run([lane.feedback(about, "unsubscribed", DUE_S + 60, channel="push")], DUE_S + 60)
    consent = lane.profile().consent
    assert not consent["push:marketing"].granted
    assert consent["push:marketing"].source == "feedback:unsubscribed"
    assert consent["email:marketing"].granted


@pytest.mark.parametrize("status", ["unsubscribed", "complained"])
@pytest.mark.parametrize("key", [b"ana", None, b"the message's id"])
def test_a_no_in_the_partition_of_another_partitioner_reaches_its_customer(status: str, key: bytes | None) -> None:
    # kafka-go and librdkafka partition otherwise by default: the word lies in partition 0, its customer in 2
    misplaced = LaneHarness(partition_of=lambda _key: 2)
    told = misplaced.feedback("unknown", status, NOON + 60, channel="push")
    misplaced.run([msgspec.structs.replace(told, key=key)])
    (sent_on,) = misplaced.outputs
    assert (sent_on.topic, sent_on.key, sent_on.partition) == (FEEDBACK, b"ana", 2)
    assert misplaced.effects[-1].tally[("feedback_misplaced",)] == 1
    home = LaneHarness(partition_of=lambda _key: 2)
    home.run([msgspec.structs.replace(record, partition=2) for record in home.allow("push")])
    home.run([home.record(sent_on.value, sent_on.key, FEEDBACK, partition=2)], NOON + 61)
    assert not home.profile().consent["push:marketing"].granted
    assert [output for output in home.outputs if output.topic == FEEDBACK] == [], "it goes on once"


def test_a_no_without_a_key_is_heard_where_its_customer_is() -> None:
    lane = published()
    told = lane.feedback(lane.messages[0], "unsubscribed", DUE_S + 60)
    lane.run([msgspec.structs.replace(told, key=None)], DUE_S + 60)
    assert not lane.profile().consent["push:marketing"].granted


def test_a_no_of_somebody_who_is_not_known_yet_is_kept() -> None:
    lane = LaneHarness()
    lane.run([lane.feedback("unknown", "unsubscribed", NOON + 60, channel="push")], NOON + 60)
    lane.run([*lane.allow("push", at_s=NOON), lane.add()], NOON + 70)
    lane.run([], NOON + 3600)
    assert lane.requests == []


def test_a_no_from_a_clock_that_was_never_set_is_heard() -> None:
    lane = published()
    lane.run([lane.feedback(lane.messages[0], "unsubscribed", 0.0)], DUE_S + 60)
    assert not lane.profile().consent["push:marketing"].granted


def test_a_no_without_any_channel_holds_for_all() -> None:
    lane = published()
    lane.run([lane.feedback("unknown", "unsubscribed", DUE_S + 60)], DUE_S + 60)
    assert not any(lane.profile().consent[f"{channel}:marketing"].granted for channel in ("push", "email"))


def test_a_no_from_the_future_does_not_outlast_a_later_yes() -> None:
    lane = published()
    lane.run([lane.feedback(lane.messages[0], "unsubscribed", NOON + 10 * 86_400)], DUE_S + 60)
    assert not lane.profile().consent["push:marketing"].granted
    lane.run(lane.allow("push", at_s=DUE_S + 120), DUE_S + 120)
    assert lane.profile().consent["push:marketing"].granted


@pytest.mark.parametrize("said_in", ["event", "traits", "feedback"])
def test_a_yes_from_a_clock_that_is_ahead_does_not_outlast_a_no(said_in: str) -> None:
    lane = published()
    lane.run(lane.allow("push", at_s=DUE_S + 20 * 3600), DUE_S + 60)
    no = {
        "event": lane.allow("push", at_s=DUE_S + 120, status="unsubscribed"),
        "traits": [lane.raw({"type": "identify", "traits": {"push_subscribe": "unsubscribed"}}, DUE_S + 120)],
        "feedback": [lane.feedback("unknown", "unsubscribed", DUE_S + 120, channel="push")],
    }
    lane.run(no[said_in], DUE_S + 120)
    assert not lane.profile().consent["push:marketing"].granted


def test_an_old_no_does_not_undo_a_newer_yes() -> None:
    lane = published()
    lane.run(lane.allow("push", at_s=DUE_S + 120), DUE_S + 120)
    lane.run([lane.feedback(lane.messages[0], "unsubscribed", DUE_S + 60)], DUE_S + 180)
    assert lane.profile().consent["push:marketing"].granted


def test_repeated_feedback_changes_nothing_more() -> None:
    lane = published()
    lane.run([lane.feedback(lane.messages[0], "unsubscribed", DUE_S + 60)], DUE_S + 60)
    before = dict(lane.store.values)
    lane.run([lane.feedback(lane.messages[0], "unsubscribed", DUE_S + 60)], DUE_S + 61)
    assert lane.store.values == before


@pytest.mark.parametrize(
    "status", ["queued", "sent", "delivered", "opened", "clicked", "converted", "replied", "rated"]
)
def test_other_feedback_changes_nothing_but_that_the_message_need_not_be_called_back(status: str) -> None:
    lane = published()
    before = lane.profile()
    lane.run([lane.feedback(lane.messages[0], status, DUE_S + 60, rating=5)], DUE_S + 59)
    expected = {} if status in recalling.SETTLED else before.published
    assert lane.profile() == msgspec.structs.replace(before, published=expected)


def test_the_history_of_consent_and_the_public_view_tell_of_it() -> None:
    lane = published()
    lane.run([lane.feedback(lane.messages[0], "complained", DUE_S + 60)], DUE_S + 60)
    view = json.loads(next(o.value for o in reversed(lane.outputs) if o.topic == "customer.profiles") or b"")
    assert view["consent"]["push:marketing"]["granted"] is False
    assert view["consent"]["email:marketing"]["source"] == "feedback:complained"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": "seen"}, "schema"),
        ({"rating": 11}, "schema"),
        ({"timestamp": "yesterday"}, "schema"),
        ({"user_id": ""}, "schema"),
    ],
)
def test_feedback_that_cannot_be_used_is_a_dead_letter(change: dict[str, Any], reason: str) -> None:
    lane = published()
    value = {
        "event_id": "f",
        "message_id": "m",
        "user_id": "ana",
        "status": "sent",
        "timestamp": "2024-03-04T13:00:00Z",
    }
    before = lane.profile()
    lane.run([lane.record(json.dumps(value | change).encode(), b"ana", FEEDBACK)], DUE_S + 59)
    (letter,) = lane.of("dead.letters", DeadLetter)
    assert letter.topic == FEEDBACK
    assert letter.reason.startswith(reason) or reason == "schema"
    assert lane.profile() == before


def test_feedback_about_somebody_whom_we_do_not_know_is_nothing() -> None:
    lane = LaneHarness()
    lane.run([lane.feedback("m", "clicked", user="nobody")])
    assert lane.outputs == []
    assert lane.store.values == {}
