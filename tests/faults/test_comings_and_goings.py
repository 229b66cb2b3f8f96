"""Workers that are asked to end, that join and leave under load, that come back with nothing, or have far too much to do."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from tests.faults.table import Cases
from tests.support.faults import FULL, Follower, Shop, local_state, log_of
from tests.support.service import clean_row, recovery_s, rss_mb, supervised, wait_applied
from tests.support.waiting import wait_until
from tests.support.workers import ROOT, prepare, produce, worker
from workers.local.supervisor import Role
from workers.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(2400 if FULL else 240)]

STOPS, GUESTS = (10, 30) if FULL else (3, 3)
EACH = 20_000 if FULL else 3_000
STOP_WITHIN_S = 30.0
#: So long are the lanes of a worker kept for it when it has left: it may be back at once.
SESSION_S = 6.0
#: What one worker with four lanes may take at most.
MAX_RSS_MB = 700
BATCH = {"ATTUNE_BATCH_RECORDS": "250"}


@pytest.fixture
def running(settings: Settings) -> Settings:
    return prepare(settings.changed(playbook=str(ROOT / "playbooks" / "rees46")))


def test_a_worker_that_is_asked_to_end_under_load_ends_in_time_and_repeats_nothing(
    running: Settings, cases: Cases
) -> None:
    shop, longest_s = Shop(1_000), 0.0
    with Follower(running) as follower:
        for number in range(STOPS):
            produce(running, "customer.events", list(shop.events(10 * EACH)))
            with worker("personalise", running, ATTUNE_BATCH_RECORDS="10") as process:
                opened = (number + 1) * running.partitions
                wait_until(lambda: log_of(running).count("is open") >= opened, 60, "its lanes are open")  # noqa: B023
                asked_s = time.monotonic()
                process.terminate()
                assert process.wait(STOP_WITHIN_S + 10) == 0, log_of(running)[-2000:]
                longest_s = max(longest_s, time.monotonic() - asked_s)
            assert follower.applied() < shop.made, "it was in the middle"
        assert longest_s <= STOP_WITHIN_S
        with supervised(running) as role:
            took_s = recovery_s(role, follower, shop.made, 900)
        injected = f"{STOPS} times, {shop.made:,} events; the slowest end took {longest_s:.1f} s"
        row = clean_row(running, follower, shop, "SIGTERM under load", injected, took_s)
    cases.passed("12-stops", row)


def test_a_second_worker_that_joins_and_leaves_again_and_again_disturbs_nothing(
    running: Settings, cases: Cases
) -> None:
    running = running.changed(session_timeout_s=SESSION_S)
    shop, longest_s = Shop(1_000), 0.0
    with Follower(running) as follower, supervised(running) as staying:
        produce(running, "customer.events", list(shop.events(EACH)))
        wait_applied(staying, follower, EACH)
        for number in range(GUESTS):
            guest = running.changed(data_dir=f"{running.data_dir}-{number}", instance="1")
            with worker("personalise", guest, **BATCH) as leaving:
                produce(running, "customer.events", list(shop.events(EACH)))
                wait_until(lambda: "is open" in log_of(guest), 90, "the guest has lanes")  # noqa: B023
                longest_s = max(longest_s, silence_s(running, staying, follower, shop))
                leaving.terminate()
                assert leaving.wait(40) == 0, log_of(guest)[-2000:]
            longest_s = max(longest_s, silence_s(running, staying, follower, shop))
            assert Path(guest.data_dir).is_dir()
        wait_applied(staying, follower, shop.made)
        case = "a second worker joins and leaves under load"
        row = clean_row(
            running, follower, shop, case, f"{GUESTS} times, session {SESSION_S:.0f} s, {shop.made:,} events", longest_s
        )
    cases.passed("13-joins", row)


def test_a_worker_that_has_lost_all_its_state_takes_it_from_the_changelog(running: Settings, cases: Cases) -> None:
    shop = Shop(300_000 if FULL else 5_000)
    with Follower(running) as follower:
        produce_in_parts(running, shop, 1_000_000 if FULL else 20_000)
        with supervised(running) as role:
            wait_applied(role, follower, shop.made, 600)
        shutil.rmtree(Path(running.data_dir) / "state")
        produce(running, "customer.events", list(shop.events(1_000)))
        with supervised(running) as role:
            waited_s = recovery_s(role, follower, shop.made)
        injected = f"{len(follower.newest):,} records restored, {shop.made:,} events"
        row = clean_row(running, follower, shop, "all local state lost", injected, waited_s)
        assert local_state(running) == follower.newest, "the local copy is that of the changelog"
    cases.passed("34-lost-state", row)


def test_a_backlog_of_which_one_customer_makes_nearly_all_stays_within_its_memory(
    running: Settings, cases: Cases
) -> None:
    shop = Shop(1_000, hot=0.9)
    with Follower(running) as follower:
        produce_in_parts(running, shop, 2_000_000 if FULL else 60_000)
        with worker("personalise", running) as process:

            def done() -> bool:
                assert process.poll() is None, log_of(running)[-2000:]
                return follower.applied() >= shop.made

            began_s = time.monotonic()
            wait_until(done, 900 if FULL else 90, "the backlog is worked off")
            took_s = time.monotonic() - began_s
            most_mb = rss_mb(process.pid)
            process.terminate()
            assert process.wait(40) == 0
        assert most_mb < MAX_RSS_MB
        assert log_of(running).count("is open") == running.partitions, "no lane was lost meanwhile"
        injected = f"{shop.made:,} events at once, 90 % of one customer; the worker had at most {most_mb:.0f} MB"
        row = clean_row(running, follower, shop, "a backlog and a hot customer", injected, took_s)
    cases.passed("70-backlog", row)


def produce_in_parts(settings: Settings, shop: Shop, events: int) -> None:
    """Sends so many events without having them all in memory at once."""
    for start in range(0, events, 50_000):
        produce(settings, "customer.events", list(shop.events(min(50_000, events - start))))


def silence_s(settings: Settings, staying: Role, follower: Follower, shop: Shop) -> float:
    """How long everything that is sent now takes until it is applied, in whichever worker [s]."""
    began_s = time.monotonic()
    produce(settings, "customer.events", list(shop.events(200)))
    wait_applied(staying, follower, shop.made)
    return time.monotonic() - began_s
