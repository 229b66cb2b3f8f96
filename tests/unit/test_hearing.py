"""What feedback changes in a profile: a no is heard before the customer's next decision, and nothing else is believed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from schemas.control import DeadLetter
from schemas.messages import Feedback
from tests.support.core import NOON, LaneHarness, make_playbook
from workers.core.personalisation.processor import FEEDBACK
from workers.core.profile import consent, feedback
from workers.core.profile.feedback import apply_feedback
from workers.core.profile.model import CapReservation, Consent, Profile

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
    said = lane.profile().consent
    assert not said["push:marketing"].granted
    assert said["push:marketing"].source == "feedback:unsubscribed"
    assert said["email:marketing"].granted


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
    expected = {} if status in feedback.SETTLED else before.published
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
        ({"status": "seen"}, "wrong_type"),
        ({"rating": 11}, "wrong_type"),
        ({"timestamp": "yesterday"}, "wrong_type"),
        ({"user_id": ""}, "wrong_type"),
        ({"schema_version": 99}, "unknown_schema_version"),
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
    assert letter.reason == reason
    assert lane.profile() == before


def test_feedback_about_somebody_whom_we_do_not_know_is_nothing() -> None:
    lane = LaneHarness()
    lane.run([lane.feedback("m", "clicked", user="nobody")])
    assert lane.outputs == []
    assert lane.store.values == {}


# -- as a function: what one record changes -----------------------------------------------------------------------------

BOOK = make_playbook()


def profile(**fields: Any) -> Profile:
    """ana was sent a push (m1) and an e-mail (m2); the profile has forgotten everything before."""
    sends = [
        CapReservation("m1", NOON - 60, "push", "marketing"),
        CapReservation("m2", NOON - 60, "email", "marketing"),
    ]
    return Profile(customer_id="ana", **({"user_id": "ana", "sends": sends} | fields))


def told(status: Any, message: str = "m1", at_s: float = NOON, **fields: Any) -> Feedback:
    stamp = datetime.fromtimestamp(at_s, UTC)
    return Feedback(event_id="f", message_id=message, user_id="ana", status=status, timestamp=stamp, **fields)


@pytest.mark.parametrize(
    ("feedback", "silent"),
    [
        (told("unsubscribed"), {"push"}),  # the message's own channel
        (told("unsubscribed", "m2"), {"email"}),
        (told("unsubscribed", "m2", channel="push"), {"push"}),  # its own word goes first
        (told("unsubscribed", "m1", channel=" Web Push "), {"push"}),
        (told("unsubscribed", "forgotten"), {"push", "email"}),  # which channel it was nobody knows
        (told("unsubscribed", "forgotten", channel="email"), {"email"}),
        (told("unsubscribed", "forgotten", channel="fax"), {"push", "email"}),
        (told("unsubscribed", "m1", channel="fax"), {"push"}),
        (told("complained", "m1"), {"push", "email"}),
        (told("complained", "m1", channel="push"), {"push", "email"}),
        (told("opened"), set()),
        (told("bounced", bounce_type="hard"), set()),
    ],
)
def test_which_channels_a_no_silences(feedback: Feedback, silent: set[str]) -> None:
    ana = profile(consent={f"{channel}:marketing": Consent(True, NOON - 60) for channel in ("push", "email")})
    heard = apply_feedback(ana, feedback, BOOK, NOON)
    assert {channel for channel in ("push", "email") if not consent.allows(ana, channel, "marketing")} == silent
    assert {change.key for change in heard.consent} == {key for key, word in ana.consent.items() if not word.granted}
    assert heard.changed == bool(silent or feedback.status == "bounced")
    assert all(change.source == f"feedback:{feedback.status}" for change in heard.consent)


@pytest.mark.parametrize(
    ("feedback", "dead"),
    [
        (told("bounced", bounce_type="hard"), {"push": NOON}),
        (told("bounced", "m2", bounce_type="hard"), {"email": NOON}),
        (told("bounced", "m1", bounce_type="hard", channel="email"), {"email": NOON}),
        (told("bounced", "forgotten", bounce_type="hard", channel="email"), {"email": NOON}),
        (told("bounced", "forgotten", bounce_type="hard"), {}),  # of which channel nobody knows
        (told("bounced", bounce_type="soft"), {}),
        (told("bounced"), {}),
        (told("failed", bounce_type="hard"), {}),
        (told("bounced", bounce_type="hard", at_s=NOON + 3600), {"push": NOON}),  # from the future: now
        (told("bounced", bounce_type="hard", at_s=NOON - 3600), {"push": NOON - 3600}),
        (told("bounced", bounce_type="hard", at_s=0.0), {"push": NOON}),  # a clock that was never set
        (told("bounced", bounce_type="hard", at_s=946_684_799.0), {"push": NOON}),
        (told("bounced", bounce_type="hard", at_s=946_684_800.0), {"push": 946_684_800.0}),
    ],
)
def test_a_hard_bounce_tells_of_its_channel_that_it_is_dead(feedback: Feedback, dead: dict[str, float]) -> None:
    ana = profile()
    heard = apply_feedback(ana, feedback, BOOK, NOON)
    assert ana.unreachable == dead
    assert heard.changed == (bool(dead) or feedback.message_id == "m1"), "m1 frees its place"
    assert heard.consent == []


@pytest.mark.parametrize(("at_s", "left"), [(NOON - 1, NOON), (NOON, NOON), (NOON + 1, NOON + 1)])
def test_an_older_bounce_changes_nothing(at_s: float, left: float) -> None:
    ana = profile(unreachable={"push": NOON}, sends=[])
    heard = apply_feedback(ana, told("bounced", bounce_type="hard", channel="push", at_s=at_s), BOOK, NOON + 60)
    assert ana.unreachable == {"push": left}
    assert heard.changed == (left > NOON)


@pytest.mark.parametrize("status", ["bounced", "dropped", "failed", "skipped"])
def test_what_was_not_delivered_counts_against_no_cap(status: str) -> None:
    ana = profile()
    assert apply_feedback(ana, told(status), BOOK, NOON).changed
    assert [send.message_id for send in ana.sends] == ["m2"]
    assert not apply_feedback(ana, told(status), BOOK, NOON).changed, "told again"
    assert not apply_feedback(ana, told(status, "forgotten"), BOOK, NOON).changed
    assert [send.message_id for send in ana.sends] == ["m2"]


@pytest.mark.parametrize(
    ("known", "at_s", "kept"),
    [
        (Consent(True, NOON - 1), NOON, False),
        (Consent(True, NOON), NOON, False),  # of two words of one instant the no holds
        (Consent(True, NOON + 1), NOON, True),
        (Consent(False, NOON - 1), NOON, False),
    ],
)
def test_a_no_holds_unless_a_newer_yes_is_known(known: Consent, at_s: float, *, kept: bool) -> None:
    ana = profile(consent={"push:marketing": known})
    heard = apply_feedback(ana, told("unsubscribed", at_s=at_s), BOOK, NOON + 60)
    assert ana.consent["push:marketing"].granted is kept
    assert heard.changed == bool(heard.consent) == (not kept)
    assert not apply_feedback(ana, told("unsubscribed", at_s=at_s), BOOK, NOON + 60).changed, "told again"


def test_a_no_from_the_future_counts_from_now() -> None:
    ana = profile()
    apply_feedback(ana, told("unsubscribed", at_s=NOON + 86_400), BOOK, NOON + 5)
    assert ana.consent["push:marketing"].captured_at == NOON + 5
