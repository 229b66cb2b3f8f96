"""The broker dies under load: workers wait or end, and when it is back everything is as if nothing had happened."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from infra.kafka.embedded import EmbeddedKafka
from tests.faults.table import Cases
from tests.support.faults import FULL, Follower, Shop
from tests.support.service import clean_row, recovery_s, supervised, wait_applied
from tests.support.waiting import wait_until
from tests.support.workers import ROOT, prepare, produce, read
from workers.local.supervisor import Role
from workers.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(1800 if FULL else 300)]

EVENTS, DEATHS = (300_000, 10) if FULL else (30_000, 3)
#: How long the broker stays away the last time [s].
OUTAGE_S = 180.0 if FULL else 0.0


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    """A broker of its own: it will be killed."""
    with EmbeddedKafka(tmp_path / "kafka") as broker:
        yield broker


def test_a_broker_that_is_killed_and_comes_back_costs_time_and_nothing_else(
    own_kafka: EmbeddedKafka, tmp_path: Path, cases: Cases
) -> None:
    settings = prepare(
        Settings(
            brokers=own_kafka.bootstrap,
            data_dir=str(tmp_path / "data"),
            playbook=str(ROOT / "playbooks" / "rees46"),
            batch_records=500,
            transaction_timeout_s=10.0,
        )
    )
    shop, waited_s = Shop(1_000), 0.0
    with supervised(settings) as role:
        for death in range(DEATHS):
            with Follower(settings) as follower:
                some = follower.applied() + 500 * (death + 1)
                produce(settings, "customer.events", list(shop.events(EVENTS // (DEATHS + 1))))
                wait_applied(role, follower, some)
            kill(own_kafka)
            back_at_s = time.monotonic() + (OUTAGE_S if death == DEATHS - 1 else 0.0)
            wait_until(partial(outage_over, role, back_at_s), OUTAGE_S + 10, "the outage lasts")
            own_kafka.start()
            with Follower(settings) as follower:
                produce(settings, "customer.events", list(shop.events(100)))
                waited_s = max(waited_s, recovery_s(role, follower, shop.made))
        produce(settings, "customer.events", list(shop.events(EVENTS - shop.made)))
        with Follower(settings) as follower:
            wait_applied(role, follower, EVENTS, 600 if FULL else 120)
            # broker   ├── load ──✗ ├── load ──✗ ├── load ──✗ ├──── load ────┤
            # worker   ├── applies ─ waits, or is started again ─ applies the rest ─┤
            outage = f", the last for {OUTAGE_S:.0f} s" if OUTAGE_S else ""
            injected = f"{DEATHS} times{outage}, {EVENTS:,} events"
            row = clean_row(settings, follower, shop, "kill -9 of the broker", injected, waited_s)
    assert read(settings, "message.decisions"), "there was something to repeat"
    cases.passed("24-broker", row)


def outage_over(role: Role, back_at_s: float) -> bool:
    """Whether the broker may come back; the supervisor looks after the worker meanwhile."""
    role.poll()
    return time.monotonic() >= back_at_s


def kill(broker: EmbeddedKafka) -> None:
    """kill -9: nothing is flushed, no transaction ended."""
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGKILL)
    wait_until(lambda: broker.pid is None, 10, "the broker is dead")
