"""A lane that has lost its state, and finds in its ledger whom it wrote to."""

from __future__ import annotations

import random

import pytest

from schemas import codec
from schemas.messages import Outcome
from tests.support.core import CAP, DELAY_S, NOON, LaneHarness, make_playbook
from workers.core.personalisation.ledger_recovery import LOST, LedgerRecovery
from workers.core.playbook.policy import Cap
from workers.core.stream.published_ids import DECISIONS, LEDGER, OUTCOMES

LATER = NOON + DELAY_S
DAY_S = 86_400.0


def lost(before: LaneHarness, now_s: float = LATER, seed: int = 0) -> tuple[LaneHarness, list[Outcome]]:
    """A new lane with nothing but what the ledger of this one tells, and the outcomes that it owes."""
    outputs = [output for output in before.outputs if output.topic in LEDGER]
    random.Random(seed).shuffle(outputs)  # topics are read beside each other
    recollection = LedgerRecovery()
    for output in outputs:
        recollection.add(output.topic, output.value)
    lane, owed = LaneHarness(before.playbook), list[Outcome]()
    for one in recollection.customers(now_s):
        lane.store.values[one.key] = one.value
        owed += [codec.decode(Outcome, output.value) for output in one.outcomes]
    lane.restart()
    return lane, owed


def written_to(number: int, user: str = "ana") -> LaneHarness:
    """A lane in which somebody was written to so often."""
    lane = LaneHarness(make_playbook())
    lane.run([*lane.allow("push", user=user), *(lane.add(f"cart-{n}", user=user) for n in range(number))])
    lane.run([], LATER)
    for request in list(lane.requests):
        lane.run([lane.candidate(request)], LATER)
    assert len(lane.messages) == number
    return lane


@pytest.mark.parametrize("seed", range(3))
def test_who_was_written_to_yesterday_is_not_written_to_again_beyond_the_cap(seed: int) -> None:
    lane, owed = lost(written_to(CAP), seed=seed)
    assert owed == []
    at_s = LATER + DAY_S
    lane.run([*lane.allow("push", at_s=at_s), lane.add("new", at_s=at_s)], at_s)
    lane.run([], at_s + DELAY_S)
    assert [one.reason for one in lane.decisions] == ["frequency_capped"]
    assert lane.profile().sent == CAP
    week_s = LATER + 8 * DAY_S
    lane.run([lane.add("newer", at_s=week_s)], week_s)
    lane.run([], week_s + DELAY_S)
    assert [one.reason for one in lane.decisions][1:] == ["requested"], "a cap is over when it is over"


def test_who_was_never_written_to_is_written_to_as_anybody() -> None:
    lane, _ = lost(written_to(CAP, user="bob"))
    lane.run([*lane.allow("push"), lane.add()], LATER)
    lane.run([], LATER + DELAY_S)
    assert [one.reason for one in lane.decisions] == ["requested"]


def test_events_that_are_read_again_decide_nothing_again() -> None:
    before = written_to(1)
    lane, _ = lost(before)
    lane.run([*lane.allow("push"), lane.add("cart-0")], LATER)
    lane.run([], LATER + DAY_S)
    assert lane.decisions == []
    assert lane.messages == []


def test_what_was_asked_for_and_never_ended_ends_once_and_gives_its_place_back() -> None:
    before = LaneHarness()
    before.run([*before.allow("push"), *(before.add(f"cart-{n}") for n in range(CAP))])
    before.run([], LATER)
    asked = before.requests
    before.run([before.candidate(asked[0])], LATER)
    lane, owed = lost(before, LATER + 60)
    assert [(one.message_id, one.reason, one.detail) for one in owed] == [(asked[1].message_id, "stale", LOST)]
    assert owed[0].requested_at == before.decisions[1].decided_at
    assert owed[0].ended_at.timestamp() == LATER + 60
    lane.run([lane.candidate(asked[1]), *lane.allow("push"), lane.add("new", at_s=LATER)], LATER)
    lane.run([], LATER + DELAY_S)
    assert lane.messages == []
    assert [one.reason for one in lane.decisions] == ["requested"], "its place is free"


def test_a_holdout_keeps_its_virtual_send_and_a_discarded_message_none() -> None:
    playbook = make_playbook()
    policy = type(playbook.policy)(caps=[Cap(messages=1, per_s=7 * DAY_S)], holdout=1.0, undescribed_products="named")
    held_out = LaneHarness(make_playbook(policy=policy))
    held_out.run([*held_out.allow("push"), held_out.add()])
    held_out.run([], LATER)
    assert [one.reason for one in held_out.decisions] == ["holdout"]
    lane, _ = lost(held_out)
    assert [send.message_id for send in lane.profile().sends] == [send.message_id for send in held_out.profile().sends]
    bought = LaneHarness()
    bought.run([*bought.allow("push"), bought.add()])
    bought.run([], LATER)
    bought.run([bought.buy(at_s=LATER), bought.candidate(bought.requests[0])], LATER)
    assert [one.reason for one in bought.outcomes] == ["converted"]
    assert lost(bought)[0].profile().sends == []


def test_sends_are_those_of_the_lane_that_was_lost() -> None:
    before = written_to(2)
    assert lost(before)[0].profile().sends == before.profile().sends
    assert lost(before)[0].profile().user_id == "ana"


@pytest.mark.parametrize("value", [None, b"", b"\xff", b"no json", b"[]", b'{"decision_id": 7}', b"{}"])
def test_what_cannot_be_read_is_not_remembered(value: bytes | None) -> None:
    recollection = LedgerRecovery()
    for topic in (DECISIONS, OUTCOMES):
        recollection.add(topic, value)
    assert list(recollection.customers(NOON)) == []
