"""What a record that raises means for the customers beside it, through a lane of personalise and its isolation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest

from schemas.control import DeadLetter
from tests.support.core import DELAY_S, NOON, LaneHarness
from workers.adapters.lanes.poison_records import PoisonRecordGuard
from workers.adapters.process import failpoints
from workers.core.personalisation.processor import PersonalisationConfig, PersonalisationProcessor
from workers.core.stream.effects import Effects
from workers.core.stream.records import Record, StateStore

LATER = NOON + DELAY_S


class Lane(LaneHarness):
    """A harness whose core is isolated, as lanes have it."""

    def restart(self) -> None:
        config = PersonalisationConfig(clock="wall", partition_of=lambda _key: 0, salt="salt")

        def build(store: StateStore) -> PersonalisationProcessor:
            return PersonalisationProcessor(config, self.playbook, store, self.clock_s, lambda: self.control)

        isolated = PoisonRecordGuard(build, self.store, "personalise")

        class Core:
            def apply(self, records: list[Record], wall_s: float, *, caught_up: bool) -> Effects:
                return asyncio.run(isolated.apply(records, wall_s, caught_up=caught_up))

        self.core = Core()  # type: ignore[assignment]

    def poison(self, user: str = "mallory") -> Record:
        value = {"type": "track", "event": "POISON", "messageId": "p", "userId": user}
        return self.record(json.dumps(value | {"timestamp": "2024-03-04T12:00:00Z"}).encode(), user.encode())


@pytest.fixture(autouse=True)
def poisonous() -> Iterator[None]:
    with failpoints.while_armed("core.poison"):
        yield


def test_no_template_leaves_before_the_unsubscribe_that_stands_behind_the_bad_record_in_its_batch() -> None:
    lane = Lane()
    lane.run([*lane.allow("push", "email"), lane.add()])
    lane.run([], LATER)
    assert len(lane.requests) == 1
    # batch   ├─ bad record ─ unsubscribe ─┤   its time is over: the template is due
    refused = [no for channel in ("push", "email") for no in lane.allow(channel, at_s=LATER, status="unsubscribed")]
    lane.run([lane.event("Page", LATER), lane.poison(), *refused], LATER + 3_600)
    lane.run([], LATER + 3_600)
    assert lane.messages == []
    assert [one.reason for one in lane.outcomes] == ["consent"]


def test_no_reminder_is_decided_before_the_order_that_stands_behind_the_bad_record_in_its_batch() -> None:
    lane = Lane()
    lane.run([*lane.allow("push"), lane.add()])
    lane.run([lane.poison(), lane.buy(at_s=NOON + 60)], LATER)
    lane.run([], LATER)
    assert lane.decisions == []
    assert lane.profile().orders == 1


def test_a_bad_record_among_the_events_of_one_customer_costs_itself_alone() -> None:
    lane = Lane()
    events = [lane.event(f"E{number}") for number in range(9)]
    lane.run([*events[:3], lane.poison("ana"), *events[3:6], lane.poison("ana"), lane.poison("ana"), *events[6:]])
    assert lane.profile().counts == {f"E{number}": 1 for number in range(9)}
    assert len(lane.of("dead.letters", DeadLetter)) == 3
    assert lane.profile().events == 9
