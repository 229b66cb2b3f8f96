"""kill -9 under load, where it hurts and at random: afterwards everything is as if nothing had happened.

Few events and kills by default; `FAULTS=full` is the real thing: 1,000,000 events, ten deaths at each place and twenty at random.
"""

from __future__ import annotations

import random
import signal
import subprocess
import time

import pytest

from tests.faults.table import Cases, Row
from tests.support.faults import FULL, Follower, Shop, differences, local_state, log_of, repeated
from tests.support.waiting import wait_until
from tests.support.workers import ROOT, prepare, produce, read, worker
from workers.adapters.process.failpoints import EXIT_CODE, PLACES
from workers.settings import Settings

RANDOM = "at a random moment"
EVENTS, CUSTOMERS = (1_000_000, 20_000) if FULL else (60_000, 2_000)
DEATHS = [*PLACES * 10, *[RANDOM] * 20] if FULL else [*PLACES, RANDOM, RANDOM]
#: Small batches: a kill must find something to destroy.
BATCH = {"ATTUNE_BATCH_RECORDS": "500"}

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(5400 if FULL else 240)]


@pytest.fixture
def running(settings: Settings) -> Settings:
    """An installation with the smaller playbook: it is checked at every start."""
    return prepare(settings.changed(playbook=str(ROOT / "playbooks" / "rees46")))


def kill_at(process: subprocess.Popen[bytes], follower: Follower, more: int) -> None:
    """kill -9 as soon as so many more events are applied than now."""
    enough = follower.applied() + more

    def reached() -> bool:
        assert process.poll() is None, f"the worker ended with {process.returncode}"
        return follower.applied() >= enough

    wait_until(reached, 60, f"{more} more events applied")
    process.kill()
    assert process.wait(10) == -signal.SIGKILL


def die_somewhere(settings: Settings, follower: Follower, place: str, slice_: int, rng: random.Random) -> None:
    """Runs a worker until it dies at this place; nothing is asked of it but that it gets there."""
    if place == RANDOM:
        with worker("personalise", settings, **BATCH) as process:
            kill_at(process, follower, rng.randrange(1, slice_ // 2))
        return
    hits = 1 if place == "restore.half" else rng.randrange(1, 6)
    if place == "restore.half":  # an empty folder has everything to restore
        settings = settings.changed(data_dir=f"{settings.data_dir}-{follower.applied()}")
    with worker("personalise", settings, ATTUNE_FAILPOINTS=f"{place}={hits}", **BATCH) as process:
        assert process.wait(60) == EXIT_CODE, log_of(settings)[-2000:]


def finish(settings: Settings, follower: Follower, events: int, **environment: str) -> float:
    """A worker applies what is left, and ends when it is asked to. Returns how long it took from its start [s]."""
    began_s = time.monotonic()
    with worker("personalise", settings, **environment) as process:

        def done() -> bool:
            assert process.poll() is None, log_of(settings)[-2000:]
            return follower.applied() >= events

        wait_until(done, 600 if FULL else 90, f"{events} events applied")
        took_s = time.monotonic() - began_s
        process.terminate()
        assert process.wait(40) == 0
    return took_s


def test_after_many_kills_every_event_is_applied_once_and_no_output_repeated(running: Settings, cases: Cases) -> None:
    shop, rng = Shop(CUSTOMERS), random.Random(17)
    deaths = rng.sample(DEATHS, len(DEATHS))
    with Follower(running) as follower:
        for place in deaths:
            slice_ = EVENTS // (len(deaths) + 1)  # something is left for the last worker
            produce(running, "customer.events", list(shop.events(slice_)))
            die_somewhere(running, follower, place, slice_, rng)
        produce(running, "customer.events", list(shop.events(EVENTS - shop.made)))
        took_s = finish(running, follower, EVENTS)
        # events      ├─ slice ─┼─ slice ─┼─ slice ─┤ ...        each slice is there before its worker starts
        # worker 1    ├──────✗                                   ✗ dies: at a failpoint, or by kill -9 at random
        # worker 2           ├────────✗                          begins behind the marker of the last commit
        # worker n                      ...  ├──────────┤ 0      the last applies the rest and is asked to end
        lost, wrong, twice = shop.made - follower.applied(), differences(follower.profiles(), shop), repeated(running)
        assert (lost, wrong, twice, shop.made) == (0, [], {}, EVENTS)
        assert follower.regressions == 0, "no batch is committed twice"
        assert read(running, "message.decisions"), "there was something to repeat"
        assert read(running, "dead.letters") == []
        assert local_state(running) == follower.newest, "the local copy is that of the changelog"
    cases.passed(
        "10-kills",
        Row(
            case="kill -9 of a worker, at each step of a batch and at random",
            injected=f"{len(deaths)} kills, {EVENTS:,} events",
            lost=lost,
            duplicated=sum(twice.values()),
            differences=len(wrong),
            recovery_s=took_s,
        ),
    )


@pytest.mark.parametrize(
    ("dying", "next_one"),
    [("unsafe.producer,", {"ATTUNE_FAILPOINTS": "unsafe.producer"}), ("", {"ATTUNE_FAILPOINTS": "unsafe.readers"})],
    ids=["no transactions", "uncommitted reads"],
)
def test_without_protection_the_same_kills_are_seen(
    running: Settings, cases: Cases, dying: str, next_one: dict[str, str]
) -> None:
    """The proof that the test above can fail: what a transaction would hold back is written, or read."""
    shop = Shop(200)
    produce(running, "customer.events", list(shop.events(6_000)))
    for hits in (1, 3):
        armed = {"ATTUNE_FAILPOINTS": f"{dying}lane.half_produced={hits}"}
        with worker("personalise", running, **armed, **BATCH) as process:
            assert process.wait(60) == EXIT_CODE
    with Follower(running) as follower:
        finish(running, follower, 6_000, **next_one)
        # worker   ├─ profiles on the broker ✗ marker            they stay, though the batch never counted as applied
        # next     ├─ the same events again ──────────┤          each is counted a second time
        wrong = differences(follower.profiles(), shop)
        assert wrong != []
    cases.unprotected("10-kills", f"2 kills: {len(wrong)} or more profiles counted twice")
    assert "For tests only." in log_of(running)
