"""The broker dies under load: workers wait or end, and when it is back everything is as if nothing had happened."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.kafka.embedded import EmbeddedKafka
from tests.support import wait_until
from tests.support_faults import Follower, Shop, differences, repeated
from tests.support_workers import ROOT, prepare, produce, read
from workers.adapters.supervisor import Role
from workers.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

EVENTS, DEATHS = 30_000, 3


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    """A broker of its own: it will be killed."""
    with EmbeddedKafka(tmp_path / "kafka") as broker:
        yield broker


def test_a_broker_that_is_killed_and_comes_back_costs_time_and_nothing_else(
    own_kafka: EmbeddedKafka, tmp_path: Path
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
    shop = Shop(1_000)
    role = Role("personalise", settings)
    role.start()
    try:
        for death in range(DEATHS):
            with Follower(settings) as follower:
                some = follower.applied() + 500 * (death + 1)
                produce(settings, "customer.events", list(shop.events(EVENTS // (DEATHS + 1))))
                wait_applied(role, follower, some)
            kill(own_kafka)
            own_kafka.start()
        produce(settings, "customer.events", list(shop.events(EVENTS - shop.made)))
        with Follower(settings) as follower:
            wait_applied(role, follower, EVENTS)
            # broker   ├── load ──✗ ├── load ──✗ ├── load ──✗ ├──── load ────┤
            # worker   ├── applies ─ waits, or is started again ─ applies the rest ─┤
            assert differences(follower.profiles(), shop) == []
        assert repeated(settings) == {}
        assert read(settings, "message.decisions"), "there was something to repeat"
    finally:
        role.ask_to_stop()
        role.wait(40)


def kill(broker: EmbeddedKafka) -> None:
    """kill -9: nothing is flushed, no transaction ended."""
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGKILL)
    wait_until(lambda: broker.pid is None, 10, "the broker is dead")


def wait_applied(role: Role, follower: Follower, events: int) -> None:
    """The supervisor looks after the worker meanwhile, as `attune up` does."""

    def done() -> bool:
        role.poll()
        return follower.applied() >= events

    wait_until(done, 120, f"{events} events applied; the worker's log is {role.log}")
