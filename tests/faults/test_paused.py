"""A worker that sleeps through its own replacement, and two that believe to be the same: one owner, whatever they think."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from tests.faults.table import Cases
from tests.support.faults import FULL, Follower, Shop, differences, is_stopped, log_of, repeated
from tests.support.service import clean_row
from tests.support.waiting import wait_until
from tests.support.workers import ROOT, prepare, produce, worker
from workers.adapters.kafka.config import client_config
from workers.adapters.process.exit_codes import Exit
from workers.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

EVENTS = 12_000
#: The sleeper sleeps until its successor has applied everything, and at least this long [s].
PAUSE_S = 90.0 if FULL else 0.0
BATCH = {"ATTUNE_BATCH_RECORDS": "500"}


@pytest.fixture
def running(settings: Settings) -> Settings:
    """The shortest session that brokers allow by default (group.min.session.timeout.ms)."""
    playbook = str(ROOT / "playbooks" / "rees46")
    return prepare(settings.changed(playbook=playbook, session_timeout_s=6.0))


def successor_of(settings: Settings, instance: str = "1") -> Settings:
    return settings.changed(data_dir=f"{settings.data_dir}-successor", instance=instance)


def ends(settings: Settings, topic: str) -> list[int]:
    """Where each partition ends, with whatever was written there, committed or not."""
    consumer = Consumer({**client_config(settings), "group.id": "test-ends", "isolation.level": "read_uncommitted"})
    found = [
        consumer.get_watermark_offsets(TopicPartition(settings.topic(topic), partition), timeout=10)[1]
        for partition in range(settings.partitions)
    ]
    consumer.close()
    return found


def pause_and_replace(
    settings: Settings, follower: Follower, shop: Shop, unsafe: str = ""
) -> tuple[list[int], list[int], int | None, float]:
    """Freezes a worker in the middle of a transaction until its successor has caught up, then lets it go on.

    Returns the ends of the changelog before and after it went on, its exit code (None = it goes on for ever), and how long
    after the freeze its successor had applied everything [s].
    """
    armed = {"ATTUNE_FAILPOINTS": f"{unsafe}lane.half_produced=3:stop"}
    successor = successor_of(settings)
    with worker("personalise", settings, **armed, **BATCH) as old:
        # A lane that is still being opened would end the worker for its own reason: it can no longer read the changelog.
        wait_until(lambda: log_of(settings).count(" is open after ") == settings.partitions, 60, "all lanes are open")
        produce(settings, "customer.events", list(shop.events(EVENTS)))
        wait_until(lambda: is_stopped(old.pid), 60, "the worker is frozen")
        frozen_at_s = time.monotonic()
        environment = {"ATTUNE_FAILPOINTS": unsafe.rstrip(",")} if unsafe else {}
        with worker("personalise", successor, **environment) as new:

            def caught_up() -> bool:
                assert new.poll() is None, log_of(successor)[-2000:]
                return follower.applied() >= EVENTS

            wait_until(caught_up, 90, "the successor has applied everything")
            took_s = time.monotonic() - frozen_at_s
            wait_until(lambda: time.monotonic() >= frozen_at_s + PAUSE_S, PAUSE_S + 10, "it has slept long enough")
            before = ends(settings, "personalise-state")
            os.kill(old.pid, signal.SIGCONT)
            if unsafe:
                wait_until(lambda: ends(settings, "personalise-state") != before, 30, "the old worker writes")
                code = old.poll()
            else:
                code = old.wait(60)
            after = ends(settings, "personalise-state")
            assert new.poll() is None, "the successor goes on"
            new.terminate()
            assert new.wait(40) == 0
    return before, after, code, took_s


@pytest.mark.parametrize("transaction_timeout_s", [60.0, 3.0], ids=["awake-in-its-time", "longer-than-its-transaction"])
def test_a_worker_that_slept_through_its_replacement_writes_nothing_and_ends_fenced(
    running: Settings, cases: Cases, transaction_timeout_s: float
) -> None:
    """Whoever sleeps longer than a transaction may last learns first that its own records have timed out."""
    running = running.changed(transaction_timeout_s=transaction_timeout_s)
    shop = Shop(300)
    with Follower(running) as follower:
        before, after, code, took_s = pause_and_replace(running, follower, shop)
        # old         ├── transaction: profiles ▮ SIGSTOP ················· SIGCONT ▶ marker? ✗ fenced, code 83
        # group                                  ├─ session timeout ─┤
        # successor                                                  ├─ aborts it, applies all ─┤ goes on
        assert code == Exit.FENCED, log_of(running)[-3000:]
        assert "a newer worker owns this lane" in log_of(running)
        assert after == before, "not even an uncommitted record of the old epoch after the takeover"
        assert follower.applied() == EVENTS
        slept = f"until its successor had applied {EVENTS:,} events" + (
            f", {PAUSE_S:.0f} s at least" if PAUSE_S else ""
        )
        outlasts = "longer" if transaction_timeout_s < running.session_timeout_s else "shorter"
        case = f"SIGSTOP in a transaction, {outlasts} than it may last"
        row = clean_row(running, follower, shop, case, slept, took_s)
    cases.passed(f"11-paused-{outlasts}", row)


def test_without_transactions_the_sleeper_overwrites_what_its_successor_wrote(running: Settings, cases: Cases) -> None:
    """The proof that the test above can fail."""
    shop = Shop(300)
    with Follower(running) as follower:
        before, after, *_ = pause_and_replace(running, follower, shop, unsafe="unsafe.producer,")
        # old         ├── profiles ▮ SIGSTOP ····················· SIGCONT ▶ marker of long ago, written
        # successor                         ├─ applies all ─┤
        assert after != before
        follower.applied()
        assert follower.regressions > 0 or differences(follower.profiles(), shop) != []
    for name in ("longer", "shorter"):
        cases.unprotected(
            f"11-paused-{name}", f"{sum(after) - sum(before)} records of the old worker behind its successor's"
        )


def test_of_two_workers_with_one_instance_the_younger_goes_on(running: Settings) -> None:
    shop = Shop(300)
    twin = successor_of(running, running.instance)
    with Follower(running) as follower, worker("personalise", running) as old:
        produce(running, "customer.events", list(shop.events(EVENTS // 2)))
        wait_until(lambda: follower.applied() >= EVENTS // 2, 60, "the first half is applied")
        with worker("personalise", twin) as young:
            code = old.wait(60)
            produce(running, "customer.events", list(shop.events(EVENTS // 2)))

            def caught_up() -> bool:
                assert young.poll() is None, log_of(twin)[-2000:]
                return follower.applied() >= EVENTS

            wait_until(caught_up, 60, "the younger applies the rest")
            young.terminate()
            assert young.wait(40) == 0
        # old      ├── first half ──────┤ fenced, code 83
        # young              ├ joins as the same member ├── second half ──┤ 0
        assert code == Exit.FENCED, log_of(running)[-2000:]
        assert differences(follower.profiles(), shop) == []
    assert follower.regressions == 0
    assert repeated(running) == {}
    assert Path(twin.data_dir).is_dir()
