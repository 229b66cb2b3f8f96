"""What lies between a worker and its broker breaks: replies that are lost, connections that are cut, a broker that freezes."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from confluent_kafka import Producer

from infra.kafka.embedded import EmbeddedKafka
from infra.kafka.ports import pick_port
from infra.kafka.properties import HOST, Forwarded
from tests.faults.table import Cases
from tests.support.faults import FULL, Follower, Shop, create_topic
from tests.support.proxy import Proxy
from tests.support.service import clean_row, recovery_s, supervised, wait_applied
from tests.support.waiting import wait_until
from tests.support.workers import ROOT, prepare, produce, read, worker
from workers.adapters.kafka.config import client_config
from workers.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(1200 if FULL else 240)]

EVENTS = 200_000 if FULL else 16_000
LOST_REPLIES, CUTS = (100, 20) if FULL else (12, 5)
DELAY_S = 0.05


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EmbeddedKafka, Proxy]]:
    """A broker with two ways in: its own port, and one that leads through the proxy."""
    inner = pick_port()
    with Proxy(inner) as proxy:
        forwarded = Forwarded(inner, f"{HOST}:{proxy.port}")
        with EmbeddedKafka(tmp_path_factory.mktemp("proxied"), forwarded=forwarded) as broker:
            yield broker, proxy


@pytest.fixture
def direct(network: tuple[EmbeddedKafka, Proxy], tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """An installation as those see it who do not go through the proxy: shoppers and the oracle."""
    return prepare(
        Settings(
            brokers=network[0].bootstrap,
            prefix=f"t{sha256(request.node.nodeid.encode()).hexdigest()[:10]}.",
            data_dir=str(tmp_path / "data"),
            playbook=str(ROOT / "playbooks" / "rees46"),
            batch_records=250,
        )
    )


def through(proxy: Proxy, settings: Settings) -> Settings:
    return settings.changed(brokers=proxy.bootstrap)


def test_replies_that_are_lost_behind_the_append_repeat_nothing(
    network: tuple[EmbeddedKafka, Proxy], direct: Settings, cases: Cases
) -> None:
    _, proxy = network
    shop, before = Shop(1_000), proxy.dropped
    with Follower(direct) as follower, supervised(through(proxy, direct)) as role:
        produce(direct, "customer.events", list(shop.events(EVENTS // 4)))
        wait_applied(role, follower, 1)
        proxy.drop_produce_replies(LOST_REPLIES)
        produce(direct, "customer.events", list(shop.events(EVENTS - shop.made)))
        wait_until(lambda: proxy.dropped - before == LOST_REPLIES, 120, "all replies that should be lost are")
        waited_s = recovery_s(role, follower, EVENTS)
        # worker   ├─ sends ─▶ broker appends ─▶ reply ✗ cut: sends again, the broker knows the sequence number
        injected = f"{LOST_REPLIES} replies lost, {EVENTS:,} events"
        row = clean_row(direct, follower, shop, "replies to produce requests lost after the append", injected, waited_s)
    cases.passed("20-lost-replies", row)


def test_without_idempotence_lost_replies_are_records_twice(
    network: tuple[EmbeddedKafka, Proxy], direct: Settings, cases: Cases
) -> None:
    """The proof that the test above can fail: a producer without sequence numbers, through the same proxy."""
    _, proxy = network
    before = proxy.dropped
    topic = create_topic(direct, "plain")
    producer = Producer({**client_config(through(proxy, direct)), "enable.idempotence": False, "retry.backoff.ms": 10})
    proxy.drop_produce_replies(5)
    for number in range(50):
        producer.produce(topic, value=str(number).encode())
        assert producer.flush(30) == 0
    assert proxy.dropped - before == 5
    twice = len(read(direct, "plain")) - 50
    assert twice == 5
    cases.unprotected("20-lost-replies", f"a producer without idempotence: {twice} of 5 lost replies are records twice")


def test_connections_that_are_cut_cost_time_and_nothing_else(
    network: tuple[EmbeddedKafka, Proxy], direct: Settings, cases: Cases
) -> None:
    _, proxy = network
    shop, rng, before, waited_s = Shop(1_000), random.Random(3), proxy.cuts, 0.0
    with Follower(direct) as follower, supervised(through(proxy, direct)) as role:
        for _ in range(CUTS):
            target = follower.applied() + rng.randrange(1, EVENTS // CUTS)
            produce(direct, "customer.events", list(shop.events(EVENTS // CUTS)))
            wait_applied(role, follower, min(target, shop.made - 1))
            assert proxy.cut() > 0
            waited_s = max(waited_s, recovery_s(role, follower, shop.made))
        injected = f"{CUTS} times all connections, {proxy.cuts - before} in all, {shop.made:,} events"
        row = clean_row(direct, follower, shop, "connections to the broker cut", injected, waited_s)
    cases.passed("21-cuts", row)


def test_a_slow_network_costs_time_and_nothing_else(
    network: tuple[EmbeddedKafka, Proxy], direct: Settings, cases: Cases
) -> None:
    _, proxy = network
    shop = Shop(500)
    with Follower(direct) as follower, supervised(through(proxy, direct)) as role:
        produce(direct, "customer.events", list(shop.events(1_000)))
        wait_applied(role, follower, 1_000)
        proxy.delay(DELAY_S)
        produce(direct, "customer.events", list(shop.events(EVENTS // 4)))
        wait_applied(role, follower, shop.made, 600)
        proxy.delay(0.0)
        injected = f"{DELAY_S * 1000:.0f} ms more for each frame, {EVENTS // 4:,} events"
        row = clean_row(direct, follower, shop, "a slow network", injected)
    cases.passed("22-slow-network", row)


def test_a_frozen_broker_a_killed_worker_and_lost_state_are_three_faults_at_once(tmp_path: Path, cases: Cases) -> None:
    with EmbeddedKafka(tmp_path / "kafka") as broker:
        settings = prepare(
            Settings(
                brokers=broker.bootstrap,
                data_dir=str(tmp_path / "data"),
                playbook=str(ROOT / "playbooks" / "rees46"),
                batch_records=250,
                transaction_timeout_s=10.0,
            )
        )
        shop = Shop(1_000)
        with Follower(settings) as follower:
            with worker("personalise", settings) as process:
                produce(settings, "customer.events", list(shop.events(EVENTS)))
                wait_until(lambda: follower.applied() > 0, 60, "some events are applied")
                assert broker.pid is not None
                os.kill(broker.pid, signal.SIGSTOP)
                process.kill()
                process.wait()
            shutil.rmtree(Path(settings.data_dir) / "state")
            os.kill(broker.pid, signal.SIGCONT)
            # broker   ├── load ── SIGSTOP ················ SIGCONT ──────────────────┤
            # worker   ├── applies ──────── ✗ kill -9, state wiped   ├─ restores, applies the rest ─┤
            produce(settings, "customer.events", list(shop.events(1_000)))
            with supervised(settings) as role:
                waited_s = recovery_s(role, follower, shop.made)
            case = "broker frozen, worker killed, its state wiped"
            row = clean_row(settings, follower, shop, case, f"once each, {shop.made:,} events", waited_s)
    cases.passed("23-frozen-broker", row)
