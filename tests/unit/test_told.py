"""What a lane that begins anew must not say again."""

from __future__ import annotations

import json

import pytest

from workers.core.stream.published_ids import LEDGER, PublishedIds
from workers.core.stream.records import Output


def output(topic: str, **ids: str) -> Output:
    return Output(topic=topic, key=b"ana", value=json.dumps(ids).encode())


def told(*records: tuple[str, dict[str, str]]) -> PublishedIds:
    known = PublishedIds()
    for topic, ids in records:
        known.add(topic, json.dumps(ids).encode())
    return known


DECIDED = ("message.decisions", {"decision_id": "d1", "message_id": "m1"})
ASKED = ("message.reviews", {"message_id": "m1"})
ENDED = ("message.outcomes", {"decision_id": "d1", "message_id": "m1"})
D, R = output("message.decisions", decision_id="d1", message_id="m1"), output("message.requests", decision_id="d1")
REVIEW, OUTCOME = output("message.reviews", message_id="m1"), output("message.outcomes", message_id="m1")
MESSAGE = output("messages.push", message_id="m1")


@pytest.mark.parametrize(
    ("known", "news"),
    [
        ((), [D, R, REVIEW, OUTCOME, MESSAGE]),
        ((DECIDED,), [REVIEW, OUTCOME, MESSAGE]),
        ((DECIDED, ASKED), [OUTCOME, MESSAGE]),
        ((DECIDED, ENDED), []),
        ((DECIDED, ASKED, ENDED), []),
    ],
)
def test_what_had_not_ended_ends_once(known: tuple[tuple[str, dict[str, str]], ...], news: list[Output]) -> None:
    assert told(*known).unpublished([D, R, REVIEW, OUTCOME, MESSAGE]) == news


def test_what_is_not_known_by_an_id_and_what_others_decided_passes() -> None:
    others = [
        output("message.decisions", decision_id="d2", message_id="m2"),
        output("messages.email", message_id="m2"),
        output("customer.profiles", user_id="ana"),
        output("dead.letters", message_id="m1"),
        Output(topic="customer.profiles", key=b"ana", value=None),
    ]
    assert told(DECIDED, ASKED, ENDED).unpublished(others) == others


def test_a_decision_without_a_message_is_known_by_its_own_id() -> None:
    known = told(("message.decisions", {"decision_id": "d1"}))
    assert known.unpublished([D, OUTCOME]) == [OUTCOME]


@pytest.mark.parametrize("value", [None, b"", b"\xff", b"no json", b"[]", b'{"decision_id": 7}', b"{}"])
def test_what_cannot_be_read_names_nothing(value: bytes | None) -> None:
    known = PublishedIds()
    for topic in LEDGER:
        known.add(topic, value)
    assert not known
    assert known.unpublished([D, R, REVIEW, OUTCOME, MESSAGE]) == [D, R, REVIEW, OUTCOME, MESSAGE]
