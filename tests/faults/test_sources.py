"""Source topics that are deleted and made anew: what is in the new one is applied, all of it, however long it is."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.faults.table import Cases
from tests.support.faults import Follower, Shop, create_topic, decode_marker, delete_topic, differences, log_of
from tests.support.service import clean_row, recovery_s, supervised, wait_applied
from tests.support.waiting import wait_until
from tests.support.workers import ROOT, prepare, produce, read, worker
from workers.adapters.state.recovery import MARKER_KEY
from workers.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

BEFORE, AFTER = 2_000, 4_000
#: Young enough that an event which comes again is recognised.
RECENTLY_S = time.time() // 86_400.0 * 86_400.0 - 3 * 86_400.0


@pytest.fixture
def running(settings: Settings) -> Settings:
    return prepare(settings.changed(playbook=str(ROOT / "playbooks" / "rees46")))


def apply_until(settings: Settings, follower: Follower, events: int, **environment: str) -> None:
    with worker("personalise", settings, **environment) as process:

        def done() -> bool:
            assert process.poll() is None, log_of(settings)[-3000:]
            return follower.applied() >= events

        wait_until(done, 90, f"{events} events applied")
        process.terminate()
        assert process.wait(40) == 0


def make_anew(settings: Settings, topic: str) -> None:
    delete_topic(settings, topic)
    create_topic(settings, topic, settings.partitions, message_timestamp_type="LogAppendTime")


def remade_while_away(settings: Settings, shop: Shop, **environment: str) -> None:
    """A worker applies a topic and ends; then the topic is made anew, with more in it than before, and a worker comes back."""
    with Follower(settings) as follower:
        produce(settings, "customer.events", list(shop.events(BEFORE)))
        apply_until(settings, follower, BEFORE)
    make_anew(settings, "customer.events")
    produce(settings, "customer.events", list(shop.events(AFTER)))
    with Follower(settings) as follower:
        # old topic   ├─ before ─┤ ✗
        # new topic                ├─── after, twice as many ────┤
        # worker      ├──────────┤      ├─ from the first on ────┤
        apply_until(settings, follower, AFTER, **environment)


def test_a_source_that_was_made_anew_while_nobody_worked_is_read_from_its_beginning(
    running: Settings, cases: Cases
) -> None:
    shop = Shop(100)
    remade_while_away(running, shop)
    with Follower(running) as follower:
        follower.applied()
        follower.regressions = 0  # the offsets of another topic
        shop.made -= BEFORE  # which the follower does not count
        injected = f"{AFTER:,} events in it, after {BEFORE:,} of the one before"
        row = clean_row(running, follower, shop, "customer.events deleted and made anew", injected)
    assert log_of(running).count("was deleted and recreated: it is read from the beginning") == running.partitions
    cases.passed("36-source-remade", row)


def test_without_ids_the_beginning_of_the_new_topic_is_skipped(running: Settings, cases: Cases) -> None:
    shop = Shop(100)
    remade_while_away(running, shop, ATTUNE_FAILPOINTS="unsafe.sources")
    with Follower(running) as follower:
        follower.applied()
        wrong = differences(follower.profiles(), shop)
    assert wrong != []
    assert "deleted and recreated" not in log_of(running)
    cases.unprotected("36-source-remade", f"{BEFORE:,} events skipped, {len(wrong)} or more profiles wrong")


def test_a_state_that_knows_no_ids_yet_goes_on_where_it_was(running: Settings) -> None:
    """As the workers of before there were any left it."""
    shop = Shop(100)
    with Follower(running) as follower:
        produce(running, "customer.events", list(shop.events(BEFORE)))
        apply_until(running, follower, BEFORE, ATTUNE_FAILPOINTS="unsafe.sources")
        assert ids(running) == {""}
        produce(running, "customer.events", list(shop.events(BEFORE)))
        apply_until(running, follower, 2 * BEFORE)
        assert differences(follower.profiles(), shop) == []
        assert len(ids(running) - {""}) == 1


def ids(settings: Settings) -> set[str]:
    """The ids of customer.events that the lanes' newest markers have; "" = one has none."""
    newest = {
        record.partition: decode_marker(record.value).source_ids.get("customer.events", "")
        for record in read(settings, "personalise-state")
        if record.key == MARKER_KEY and record.value is not None
    }
    return set(newest.values())


def test_a_source_that_is_made_anew_under_a_worker_is_noticed_and_read_from_its_beginning(
    running: Settings, cases: Cases
) -> None:
    shop = Shop(100, began_s=RECENTLY_S, step_s=0.01)
    with supervised(running) as role:
        with Follower(running) as follower:
            produce(running, "customer.events", list(shop.events(BEFORE)))
            wait_applied(role, follower, BEFORE)
        known = ids(running)
        make_anew(running, "customer.events")
        produce(running, "customer.events", list(shop.events(AFTER)))

        def noticed() -> bool:
            role.poll()
            return ids(running) != known and len(ids(running)) == 1

        wait_until(noticed, 120, "every lane knows the new topic")
        with Follower(running) as follower:
            took_s = recovery_s(role, follower, AFTER)
            follower.regressions = 0
            shop.made -= BEFORE
            case, injected = "the same under a worker", f"{AFTER:,} events in it, after {BEFORE:,} of the one before"
            row = clean_row(running, follower, shop, case, injected, took_s)
    cases.passed("36-source-remade-live", row)


def test_a_raw_topic_that_was_made_anew_while_intake_worked_on_loses_nothing(running: Settings) -> None:
    """`intake` has no state: the id lies beside its group's offset. Kafka forgets the offset of a topic that it deletes."""

    def visits(first: int, count: int) -> list[tuple[bytes | None, bytes | None]]:
        return [
            (
                b"ana",
                json.dumps(
                    {"type": "page", "userId": "ana", "messageId": f"m-{number}", "timestamp": "2026-03-04T12:00:00Z"}
                ).encode(),
            )
            for number in range(first, first + count)
        ]

    def mapped() -> set[str]:
        return {json.loads(record.value or b"{}")["messageId"] for record in read(running, "customer.events")}

    with supervised(running, "intake") as role:

        def everything(count: int) -> bool:
            role.poll()
            return len(mapped()) >= count

        produce(running, "shop.events", visits(0, 200))
        wait_until(lambda: everything(200), 60, "all are mapped")
        make_anew(running, "shop.events")
        produce(running, "shop.events", visits(200, 400))
        wait_until(lambda: everything(600), 120, (Path(running.data_dir) / "intake.log").as_posix())
    assert mapped() == {f"m-{number}" for number in range(600)}
