"""Stories are told in words for marketers: why, with which chances, what was said, what came back, and why silence."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from schemas.base import AbortType
from schemas.messages import (
    Cancellation,
    Candidate,
    Decision,
    Feedback,
    FeedbackStatus,
    GuardrailVerdict,
    Message,
    MessageText,
    Outcome,
    PolicyCheck,
    Provenance,
)
from schemas.profiles import CartLine, CartView, ConsentView, Features, ProfileView
from workers.core.attribution.validation import STATUSES
from workers.core.decisioning import policy
from workers.core.playbook.campaigns import Trigger
from workers.core.playbook.policy import Learning
from workers.core.reporting import labels
from workers.core.reporting.decision_trace import (
    DecisionTrace,
    build_traces,
    describe,
    mark_uncounted,
    unmatched_feedback,
)
from workers.core.reporting.profile_summary import summarise

NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)


def decision(**fields: Any) -> Decision:
    values: dict[str, Any] = {
        "decision_id": "d1",
        "user_id": "ana",
        "campaign_id": "cart-abandonment",
        "occurrence_id": "cart-1@0",
        "trigger": "cart_abandonment",
        "decided_at": NOON,
        "reason": "requested",
        "message_id": "m1",
        "channel": "push",
        "target_group": "young",
        "locale": "en-GB",
        "product_id": "smart-band",
    }
    return Decision(**(values | fields))


def outcome(**fields: Any) -> Outcome:
    values: dict[str, Any] = {
        "message_id": "m1",
        "decision_id": "d1",
        "user_id": "ana",
        "campaign_id": "cart-abandonment",
        "channel": "push",
        "reason": "published",
        "requested_at": NOON,
        "ended_at": NOON,
    }
    return Outcome(**(values | fields))


CANDIDATE = Candidate(
    message_id="m1",
    user_id="ana",
    text=MessageText(title="Still thinking?", body="Your band waits."),
    generated_by="llm",
    generated_at=NOON,
)
MESSAGE = Message(
    message_id="m1",
    idempotency_key="m1",
    user_id="ana",
    channel="push",
    campaign_id="cart-abandonment",
    locale="en-GB",
    title="Still thinking?",
    body="Your band waits.",
    send_at=NOON,
    expires_at=NOON,
    provenance=Provenance(decision_id="d1"),
)


def feedback(status: FeedbackStatus, minute: int = 0, **fields: Any) -> Feedback:
    at = NOON + timedelta(minutes=minute)
    values: dict[str, Any] = {
        "event_id": f"{status}{minute}",
        "message_id": "m1",
        "user_id": "ana",
        "status": status,
        "timestamp": at,
    }
    return Feedback(**(values | fields))


def told(*records: object) -> str:
    (story,) = build_traces(records)
    return "\n".join(describe(story))


def test_every_reason_of_the_contract_has_words() -> None:
    assert labels.REASONS.keys() == {*get_args(AbortType), "requested", "published"}


def test_every_trigger_of_the_playbook_has_words() -> None:
    tags = {msgspec.inspect.type_info(kind).tag for kind in get_args(Trigger)}  # type: ignore[attr-defined] # structs have one
    assert labels.TRIGGERS.keys() == tags


@pytest.mark.parametrize("status", get_args(FeedbackStatus))
def test_every_status_of_feedback_has_words(status: FeedbackStatus) -> None:
    assert labels.feedback(feedback(status, rating=4))


def test_a_published_message_is_told_from_the_occurrence_to_the_purchase() -> None:
    story = told(
        feedback("converted", 9, revenue=199.0, currency="CNY"),
        MESSAGE,
        feedback("delivered", 1),
        feedback("opened", 2, machine_opened=True),
        feedback("opened", 3),
        feedback("clicked", 4),
        feedback("delivered", 1),
        outcome(),
        CANDIDATE,
        decision(checks=[PolicyCheck(name="consent", passed=True, detail="push")]),
    )
    assert story.splitlines() == [
        "2024-03-04 12:00:00 UTC cart-abandonment: abandoned a cart",
        "  customer ana: target group young, en-GB, product smart-band",
        "  pass consent: has the customer consented? push",
        "  decided: a message was requested (requested)",
        "  text by llm, prompt ",
        "  ended: it was handed to the sender (published)",
        "  push message m1: Still thinking? / Your band waits.",
        "  feedback 2024-03-04 12:01:00 UTC: delivered",
        "  feedback 2024-03-04 12:02:00 UTC: opened by a mail scanner, not by a person",
        "  feedback 2024-03-04 12:03:00 UTC: opened by the customer",
        "  feedback 2024-03-04 12:04:00 UTC: clicked",
        "  feedback 2024-03-04 12:09:00 UTC: bought for 199.00 CNY",
    ]


def test_a_message_without_an_answer_says_so() -> None:
    assert told(decision(), outcome(), MESSAGE).endswith("no feedback from the sender so far")


def test_the_choice_names_its_chance_and_what_else_could_have_been() -> None:
    chances = {"no-send": 0.05, "base.brisk": 0.33, "base.warm": 0.62}
    chosen = decision(propensities=chances, propensity=0.62, variation_id="base.warm", snapshot_version="ab12")
    assert "chosen by policy snapshot ab12: warm tone 62 %; alternatives: brisk tone 33 %, no message 5 %" in told(
        chosen
    )


def test_a_campaign_with_nothing_to_choose_does_not_speak_of_choosing() -> None:
    assert "chosen" not in told(decision(propensities={"base": 1.0}, variation_id="base"))


def test_the_control_group_hears_why_and_what_it_would_have_got() -> None:
    chances = {"short": 0.5, "long": 0.5}
    held = decision(reason="holdout", propensities=chances, propensity=0.5, variation_id="short", message_id=None)
    story = told(held)
    assert "would have been chosen, nothing learnt yet: short 50 %; alternatives: long 50 %" in story
    assert "is in the control group" in story
    assert "still open" not in story


def test_a_shadow_shows_the_words_that_nobody_heard() -> None:
    story = told(decision(reason="shadow"), CANDIDATE, outcome(reason="shadow"))
    assert "the text was generated for review and was not sent (shadow)" in story
    assert "text that was not sent: Still thinking? / Your band waits." in story


def test_a_ghost_shows_the_words_that_the_control_group_did_not_hear() -> None:
    held = decision(reason="holdout")
    assert "still open: waits for its text" in told(held)
    assert "text that was not sent: Still thinking?" in told(held, CANDIDATE, outcome(reason="holdout"))


def test_a_refused_check_stands_out_and_ends_the_story() -> None:
    check = PolicyCheck(name="consent", passed=False, detail="no marketing consent for push")
    story = told(decision(reason="consent", message_id=None, checks=[check]))
    assert "  FAIL consent: has the customer consented? no marketing consent for push" in story
    assert story.endswith("decided: the customer has not consented (consent)")


def test_a_check_that_nobody_knows_keeps_its_name() -> None:
    assert "  pass budget\n" in told(decision(checks=[PolicyCheck(name="budget", passed=True)]))


def test_words_that_are_not_there_yet_are_awaited() -> None:
    assert told(decision()).endswith("still open: waits for its text")


def test_rejected_words_are_told_with_their_guardrail() -> None:
    verdict = GuardrailVerdict(name="claims", passed=False, detail="waterproof")
    candidate = msgspec.structs.replace(CANDIDATE, failure="guardrail", verdicts=[verdict], generated_by="template")
    story = told(decision(), candidate, outcome(reason="converted", detail="the cart was bought"))
    assert "the LLM's text was not used: guardrail\n    claims: waterproof" in story
    assert "text that was not sent" in story


def test_words_from_the_pool_name_their_entry() -> None:
    candidate = msgspec.structs.replace(CANDIDATE, generated_by="pool", pool_entry_id="e7", prompt_version="p1")
    assert "  text by pool (entry e7), prompt p1" in told(decision(), candidate)


def test_a_message_that_was_called_back_says_why() -> None:
    back = Cancellation(message_id="m1", user_id="ana", channel="push", reason="converted", cancelled_at=NOON)
    assert "cancelled 2024-03-04 12:00:00 UTC: the customer bought in the meantime" in told(decision(), MESSAGE, back)


@pytest.mark.parametrize(
    ("back", "said"),
    [
        (
            feedback("bounced", bounce_type="hard", bounce_reason="550"),
            "could not be delivered (the address does not exist): 550",
        ),
        (feedback("converted"), "bought"),
        (feedback("rated", rating=4, comment="nice"), "rated 4 of 5: nice"),
        (feedback("skipped", abort_type="expired"), "the sender skipped it: expired"),
        (feedback("unsubscribed"), "the customer unsubscribed"),
    ],
)
def test_feedback_is_told_with_its_detail(back: Feedback, said: str) -> None:
    assert labels.feedback(back) == said


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("2024-03-04T16:36:00+01:00", "2024-03-04 15:36:00 UTC"),
        ("2024-03-04T02:00:00-08:00", "2024-03-04 10:00:00 UTC"),
        ("2024-03-04T12:00:00+08:45", "2024-03-04 03:15:00 UTC"),
        ("2024-03-04T12:00:00Z", "2024-03-04 12:00:00 UTC"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00"),
    ],
)
def test_times_of_other_zones_are_converted_wherever_they_stand(written: str, shown: str) -> None:
    at = datetime.fromisoformat(written)
    assert f"feedback {shown}: clicked" in told(decision(), MESSAGE, feedback("clicked", timestamp=at))
    assert told(decision(decided_at=at)).startswith(f"{shown} cart-abandonment")
    back = Cancellation(message_id="m1", user_id="ana", channel="push", reason="converted", cancelled_at=at)
    assert f"cancelled {shown}: " in told(decision(), MESSAGE, back)
    assert f"consent to push: given {shown}" in "\n".join(
        summarise(view(consent={"push:marketing": ConsentView(granted=True, captured_at=at)}), ["push"])
    )


def judged(*backs: Feedback, reason: AbortType | str = "published", came_s: float | None = None) -> str:
    """The story of a message with these answers, which Kafka took at `came_s` (default: when they say)."""
    (story,) = build_traces([decision(), MESSAGE, outcome(reason=reason), *backs])
    mark_uncounted([story], {back.event_id: came_s or back.timestamp.timestamp() for back in backs}, Learning())
    return "\n".join(describe(story))


def test_an_opening_in_the_future_is_said_not_to_count() -> None:
    came_s = NOON.timestamp() + 60
    assert judged(feedback("opened", 11), came_s=came_s).endswith(
        "feedback 2024-03-04 12:11:00 UTC: opened by the customer; not counted: its timestamp is in the future (future)"
    )
    assert judged(feedback("opened", 5), came_s=came_s).endswith("opened by the customer")  # clocks differ a little


def test_a_no_from_the_future_is_honoured_though_it_is_not_counted() -> None:
    assert "unsubscribed; not counted, but applied: its timestamp is in the future" in judged(
        feedback("unsubscribed", 60), came_s=NOON.timestamp()
    )


@pytest.mark.parametrize(
    ("backs", "reason"),
    [
        ([feedback("clicked", -6)], "before_message"),
        ([feedback("delivered", 5), feedback("clicked", 4)], "before_delivery"),
        ([feedback("opened", 60 * 24 * 3)], "expired"),
        ([feedback("converted", 1, revenue=5.0)], "revenue_without_currency"),
        ([feedback("converted", 1, revenue=-5.0, currency="EUR")], "bad_revenue"),
        ([feedback("rated", 1)], "no_rating"),
        ([feedback("opened", timestamp=datetime(1969, 1, 1, tzinfo=UTC))], "bad_timestamp"),
    ],
)
def test_what_learn_ignores_is_said_with_its_reason(backs: list[Feedback], reason: str) -> None:
    assert f"({reason})" in judged(*backs)


def test_feedback_about_a_message_that_never_left_is_said_not_to_count() -> None:
    (story,) = build_traces([decision(), outcome(reason="expired"), feedback("opened", 1)])
    mark_uncounted([story], {}, Learning())
    assert story.not_counted == {"opened1": "not_published"}
    assert describe(story)[-1] == (
        "  feedback 2024-03-04 12:01:00 UTC: opened by the customer; "
        "not counted: the message was never published (not_published)"
    )


@pytest.mark.parametrize("status", sorted(set(get_args(FeedbackStatus))))
def test_good_feedback_is_said_to_count_as_learn_counts_it(status: FeedbackStatus) -> None:
    assert "not counted" not in judged(feedback(status, 1, rating=4))
    late = "not counted" in judged(feedback(status, 60 * 24 * 3, rating=4))
    assert late == (status in STATUSES)


def test_feedback_about_a_message_that_nobody_knows_is_told_behind_the_stories() -> None:
    known, stray = feedback("clicked", 1), feedback("bounced", 2, message_id="m9", event_id="e9")
    records = [decision(), MESSAGE, known, stray, stray]
    (line,) = unmatched_feedback(records, build_traces(records))
    assert line == (
        "2024-03-04 12:02:00 UTC feedback on message m9: could not be delivered; not counted, but applied: "
        "the message is unknown, or older than 28 days (unknown_message)"
    )


def test_stories_are_told_in_the_order_of_their_decisions_and_do_not_mix() -> None:
    later = decision(decision_id="d2", message_id="m2", decided_at=NOON + timedelta(hours=1))
    first, second = build_traces(
        [later, outcome(message_id="m2", reason="expired"), decision(), feedback("sent"), MESSAGE]
    )
    assert [story.decision.message_id for story in (first, second) if story.decision] == ["m1", "m2"]
    assert (len(first.feedback), first.outcome, second.feedback) == (1, None, [])
    assert build_traces([feedback("sent"), MESSAGE]) == []
    assert DecisionTrace(later).feedback is not DecisionTrace(later).feedback


def view(**fields: Any) -> ProfileView:
    values: dict[str, Any] = {"customer_id": "ana", "user_id": "ana", "target_group": "young", "updated_at": NOON}
    return ProfileView(**(values | fields))


def test_a_silent_customer_is_described_with_consent_and_carts() -> None:
    cart = CartView(
        cart_id="c1", opened_at=NOON, updated_at=NOON, items=[CartLine(product_id="smart-band", quantity=2)]
    )
    lines = summarise(
        view(
            segments=["loyal"],
            consent={
                "push:marketing": ConsentView(granted=True, captured_at=NOON, source="app"),
                "post:marketing": ConsentView(granted=False, captured_at=NOON),
                "personalisation": ConsentView(granted=False, captured_at=NOON),
            },
            features=Features(
                events=7,
                counts={"Product Viewed": 6, "Product Added": 1},
                first_seen=NOON,
                last_seen=NOON,
                carts=[cart],
            ),
        ),
        ["push", "email"],
    )
    when = "2024-03-04 12:00:00 UTC"
    assert lines == [
        f"Profile of ana, as of {when}:",
        f"  seen: 7 events, first {when}, last {when} (Product Viewed 6, Product Added 1)",
        "  target group: young",
        "  segments: loyal",
        "  consent to email: never given, so no marketing is sent there",
        f"  consent to post: refused {when}",
        f"  consent to push: given {when} (app)",
        f"  personalisation: refused {when}: generic text only",
        f"  open cart c1: 2 × smart-band; last changed {when}",
        "  orders: 0; messages sent so far: 0",
    ]


def test_an_anonymous_customer_is_told_to_be_one() -> None:
    lines = summarise(view(user_id=None, target_group=None), [])
    assert "no message is sent until an event with a userId identifies the customer" in lines[1]
    assert "  no open cart" in lines


def test_every_check_of_the_policy_has_a_question() -> None:
    names = set(re.findall(r'ruling\.(?:passed|failed)\(\s*"([^"]+)"', Path(policy.__file__).read_text()))
    assert len(names) > 5
    assert names == labels.CHECKS.keys()
