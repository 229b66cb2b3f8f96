"""An intake that dies between two parts of one fetch: what it left for the next batch is mapped, and nothing twice."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.faults.table import Cases, Row
from tests.support.faults import log_of
from tests.support.waiting import wait_until
from tests.support.workers import prepare, produce, read, worker
from workers.adapters.process.failpoints import EXIT_CODE
from workers.core.intake.processor import MAX_BATCH_BYTES
from workers.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

#: Batches of a shop whose events share what makes them large: together they are more than intake writes at once.
BATCHES, EVENTS, SHARED_BYTES = 45, 400, 2_000
EXPECTED = Counter(f"{batch}-{number}" for batch in range(BATCHES) for number in range(EVENTS))
assert BATCHES * EVENTS * SHARED_BYTES > MAX_BATCH_BYTES


@pytest.fixture
def running(settings: Settings) -> Settings:
    """A dead member leaves its partitions after the shortest session that brokers allow by default."""
    return prepare(settings.changed(session_timeout_s=6.0))


def send(settings: Settings) -> None:
    """Sends everything before intake starts, so that it is fetched together."""
    event = {"type": "track", "event": "Product Viewed", "userId": "ana"}
    batches = [[event | {"messageId": f"{batch}-{number}"} for number in range(EVENTS)] for batch in range(BATCHES)]
    shared = {"context": {"page": {"title": "x" * SHARED_BYTES}}}
    produce(settings, "shop.events", [(b"ana", json.dumps({"batch": batch} | shared).encode()) for batch in batches])


def mapped(settings: Settings) -> Counter[str]:
    """Returns how often each event was mapped."""
    return Counter(json.loads(record.value or b"")["messageId"] for record in read(settings, "customer.events"))


def die(settings: Settings, place: str, **environment: str) -> None:
    """Runs intake until it dies at this place; it must have mapped a part of what it fetched."""
    with worker("intake", settings, ATTUNE_FAILPOINTS=place, **environment) as process:
        assert process.wait(90) == EXIT_CODE, log_of(settings, "intake")[-2000:]


def finish(settings: Settings, events: int) -> None:
    with worker("intake", settings) as process:

        def done() -> bool:
            assert process.poll() is None, log_of(settings, "intake")[-2000:]
            return sum(mapped(settings).values()) >= events

        wait_until(done, 90, f"{events} events are mapped")
        process.terminate()
        assert process.wait(40) == 0


def test_an_intake_that_dies_between_two_parts_of_a_fetch_maps_the_rest_once(running: Settings, cases: Cases) -> None:
    send(running)
    die(running, "lane.after_commit=1")
    # fetch      ├─ part 1 ─┼─ part 2 ─┼─ ... ┤      each part is one transaction of at most 32 MB
    # worker 1   ├─ part 1 ─✓✗                       dies after its commit: the rest was deferred, not applied
    # worker 2              ├─ part 2 ──✗            dies before its commit: nothing of it counts
    # worker 3              ├─ part 2 ─✓├─ ... ─✓
    assert 0 < sum(mapped(running).values()) < BATCHES * EVENTS, "a part was mapped, and a part was deferred"
    die(running, "lane.before_commit=1")
    finish(running, BATCHES * EVENTS)
    found = mapped(running)
    lost, twice = EXPECTED - found, found - EXPECTED
    assert read(running, "dead.letters") == []
    row = Row(
        case="kill -9 of intake between two parts of one fetch",
        injected=f"2 kills, {BATCHES * EVENTS:,} events in {BATCHES} records",
        lost=lost.total(),
        duplicated=twice.total(),
        differences=0,
    )
    cases.passed("11-deferred", row)


def test_a_lane_that_commits_what_it_deferred_loses_it(running: Settings, cases: Cases) -> None:
    """The proof that the test above can fail."""
    send(running)
    die(running, "unsafe.deferred,lane.after_commit=1")
    last = {"type": "track", "event": "Product Viewed", "userId": "ana", "messageId": "last"}
    produce(running, "shop.events", [(b"ana", json.dumps(last).encode())])
    with worker("intake", running):
        wait_until(lambda: mapped(running)["last"] == 1, 90, "what was sent afterwards is mapped")
    lost = EXPECTED - mapped(running)
    assert lost
    cases.unprotected("11-deferred", f"1 kill: {lost.total():,} events lost")
