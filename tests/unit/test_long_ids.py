"""Ids far longer than any: refused where they come in, before they become keys of the state."""

from __future__ import annotations

import json

import pytest

from schemas.control import DeadLetter
from schemas.values import MAX_ID
from tests.support.core import DELAY_S, NOON, LaneHarness
from tests.support.intake import map_all
from tests.support.learning import LearnHarness
from workers.core.attribution import processor as learn
from workers.core.personalisation.processor import CANDIDATES, EVENTS, FEEDBACK, VERDICTS

WHEN = "2024-03-04T12:00:00Z"
TRACK = {"type": "track", "event": "Product Viewed", "messageId": "m", "timestamp": WHEN}
CANDIDATE = {"message_id": "m", "text": {"body": "x"}, "generated_by": "llm", "generated_at": WHEN}
SAID = {"event_id": "e", "message_id": "m", "status": "unsubscribed", "timestamp": WHEN}
VERDICT = {"verdict_id": "v", "message_id": "m", "verdict": "approve", "decided_at": WHEN}
DECISION = {"decision_id": "d", "campaign_id": "c", "occurrence_id": "o", "trigger": "t", "decided_at": WHEN}
OUTCOME = {"message_id": "m", "decision_id": "d", "campaign_id": "c", "channel": "push", "reason": "published"}
LENGTHS = [MAX_ID + 1, 65_536, 70_000]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(
    ("topic", "value", "field"),
    [
        (EVENTS, TRACK, "userId"),
        (EVENTS, TRACK, "anonymousId"),
        (EVENTS, {**TRACK, "anonymousId": "x" * 70_000}, "userId"),
        (CANDIDATES, CANDIDATE, "user_id"),
        (FEEDBACK, SAID, "user_id"),
        (VERDICTS, VERDICT, "user_id"),
    ],
)
def test_a_customer_with_an_endless_id_is_a_dead_letter(
    topic: str, value: dict[str, object], field: str, length: int
) -> None:
    lane, user = LaneHarness(), "x" * length
    record = lane.record(json.dumps({**value, field: user}).encode(), user.encode(), topic)
    lane.run([lane.event("Before"), record, lane.event("After")])
    assert [one.reason for one in lane.of("dead.letters", DeadLetter)] == ["wrong_type"]
    assert lane.profile().counts == {"Before": 1, "After": 1}


def test_an_id_as_long_as_may_be_is_a_customer_like_any_other() -> None:
    lane, user = LaneHarness(), "\N{GRINNING FACE}" * MAX_ID  # four bytes each
    lane.run([*lane.allow("push", user=user), lane.add(user=user)])
    lane.run([], NOON + DELAY_S)
    assert [one.user_id for one in lane.requests] == [user]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(
    ("topic", "value", "field"),
    [
        (learn.EVENTS, {**TRACK, "event": "Order Completed"}, "userId"),
        (learn.FEEDBACK, SAID, "user_id"),
        (learn.DECISIONS, {**DECISION, "reason": "requested"}, "user_id"),
        (learn.OUTCOMES, {**OUTCOME, "requested_at": WHEN, "ended_at": WHEN}, "user_id"),
    ],
)
def test_learn_takes_no_endless_id_either(topic: str, value: dict[str, object], field: str, length: int) -> None:
    lane, user = LearnHarness(), "x" * length
    lane.run(lane.raw(topic, user.encode(), json.dumps({**value, field: user}).encode()))
    assert all(len(key) < length for key in lane.store.values)


@pytest.mark.parametrize("field", ["userId", "anonymousId"])
def test_intake_refuses_what_would_be_refused_behind_it(field: str) -> None:
    assert map_all({**TRACK, field: "x" * (MAX_ID + 1)}).events == []
