"""Orders that are on their way when a reminder is due: whoever has bought is not reminded, however long the way takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from confluent_kafka import Producer

from tests.faults.table import Cases, Row
from tests.support.carts import did, ledger
from tests.support.faults import Follower, log_of
from tests.support.waiting import wait_until
from tests.support.workers import ROOT, prepare, produce, read, worker
from workers.adapters.kafka.config import client_config
from workers.adapters.process.failpoints import EXIT_CODE
from workers.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

#: Half an hour of hesitation takes a second.
SPEEDUP = 1800.0
BUYERS = [f"buyer-{number}" for number in range(40)]
OTHERS = [f"other-{number}" for number in range(40)]
#: So long whoever does not wait has time to be seen doing so: his timers are due, and fire within a quarter second.
PATIENCE_S = 5.0


@pytest.fixture
def running(settings: Settings) -> Settings:
    playbook = str(ROOT / "playbooks" / "smart-devices")
    return prepare(settings).changed(playbook=playbook, speedup=SPEEDUP, llm="off", intake_hold_lag_s=2.0)


def carts() -> list[tuple[bytes | None, bytes | None]]:
    """Everybody allows push and leaves a cart."""
    cart = {"product_id": "smart-band", "price": 199, "currency": "CNY"}
    return [
        event
        for user in BUYERS + OTHERS
        for event in (
            did(user, "Consent Updated", channel="push", status="subscribed"),
            did(user, "Product Added", cart_id=user, **cart),
        )
    ]


def orders() -> list[tuple[bytes | None, bytes | None]]:
    return [
        did(user, "Order Completed", cart_id=user, order_id=f"o-{user}", revenue=199, currency="CNY") for user in BUYERS
    ]


def mapped(settings: Settings) -> int:
    return len(read(settings, "customer.events"))


def leave_carts(settings: Settings) -> None:
    """Everybody leaves a cart, and intake has mapped it and is gone."""
    with worker("intake", settings) as intake:
        produce(settings, "shop.events", carts())
        wait_until(lambda: mapped(settings) == len(carts()), 60, "the carts are mapped")
        intake.terminate()
        assert intake.wait(40) == 0


def reminded(settings: Settings) -> set[str]:
    """Whose cart was decided on."""
    return {decision.user_id for decision in ledger(settings)}


def remind(
    settings: Settings,
    buyers: set[str],
    others: set[str],
    *,
    arrival: Callable[[], AbstractContextManager[object]] | None = None,
    unsafe: str = "",
) -> list[str]:
    """A worker finds everybody's reminder due while orders of `buyers` are on their way; then they arrive (intake comes back,
    unless told otherwise), and `others` show that what is due is decided on. Returns the buyers who were decided on all the
    same.
    """
    assert buyers
    assert others
    with Follower(settings) as follower:
        environment = {"ATTUNE_FAILPOINTS": unsafe} if unsafe else {}
        with worker("personalise", settings, **environment) as process:

            def happens(condition: bool) -> bool:
                assert process.poll() is None, log_of(settings)[-3000:]
                return condition

            def all_have_carts() -> bool:
                follower.applied()
                return sum(bool(profile.carts) for profile in follower.profiles().values()) == len(BUYERS + OTHERS)

            wait_until(lambda: happens(all_have_carts()), 60, "the carts are applied")
            applied_s = time.monotonic()
            if unsafe:
                wait_until(lambda: happens(buyers <= reminded(settings)), 60, "buyers are decided on")
                return sorted(reminded(settings) & buyers)
            until_s = applied_s + PATIENCE_S
            wait_until(lambda: happens(time.monotonic() >= until_s), PATIENCE_S + 10, "the timers were due")
            assert not reminded(settings) & (buyers | others), "nobody is decided on while orders are on their way"
            with arrival() if arrival else worker("intake", settings):
                wait_until(lambda: happens(others <= reminded(settings)), 90, "the others are decided on")
    return sorted(reminded(settings) & buyers)


def row(case: str, injected: str, wrong: list[str]) -> Row:
    return Row(case=case, injected=injected, lost=0, duplicated=0, differences=len(wrong))


# -- intake stands still: the orders lie in the raw topic ------------------------------------------------------------------


def test_what_intake_has_not_mapped_yet_is_waited_for(running: Settings, cases: Cases) -> None:
    leave_carts(running)
    produce(running, "shop.events", orders())
    wrong = remind(running, set(BUYERS), set(OTHERS))
    assert wrong == []
    assert "timers wait for intake" in log_of(running)
    injected = f"{len(BUYERS)} orders in the raw topic, {len(OTHERS)} carts without one"
    cases.passed("66-intake-backlog", row("intake stands still while reminders are due", injected, wrong))


def test_who_does_not_wait_for_intake_reminds_those_who_have_bought(running: Settings, cases: Cases) -> None:
    leave_carts(running)
    produce(running, "shop.events", orders())
    wrong = remind(running, set(BUYERS), set(OTHERS), unsafe="unsafe.intake")
    assert wrong != []
    cases.unprotected("66-intake-backlog", f"{len(wrong)} of {len(BUYERS)} buyers are decided on")


def test_whoever_writes_events_without_intake_waits_for_nobody(running: Settings) -> None:
    produce(running, "customer.events", carts())
    produce(running, "shop.events", orders())  # of another installation's making: no group reads them
    with worker("personalise", running) as process:

        def decided() -> bool:
            assert process.poll() is None, log_of(running)[-3000:]
            return set(OTHERS) <= reminded(running)

        wait_until(decided, 60, "everybody is decided on")


def test_raw_topics_that_end_in_what_is_no_record_hold_nobody_up(running: Settings) -> None:
    """A shop that writes in transactions: their markers take offsets, and so does what it took back."""
    producer = Producer(
        {**client_config(running), "transactional.id": f"{running.prefix}shop", "partitioner": "murmur2_random"}
    )
    producer.init_transactions(30)
    with worker("intake", running), worker("personalise", running) as process:
        for commits in (True, False):
            producer.begin_transaction()
            for key, value in carts() if commits else orders():
                producer.produce(running.topic("shop.events"), key=key, value=value)
            producer.flush(30)
            if commits:
                producer.commit_transaction(30)
            else:
                producer.abort_transaction(30)

        def decided() -> bool:
            assert process.poll() is None, log_of(running)[-3000:]
            return set(OTHERS + BUYERS) <= reminded(running)

        wait_until(decided, 60, "everybody is decided on")


# -- intake was killed: the orders lie in a transaction that it left open ----------------------------------------------------


@pytest.fixture
def killed(running: Settings) -> Settings:
    """intake has died when orders of one lane or more lay on the broker, uncommitted."""
    leave_carts(running)
    produce(running, "shop.events", orders())
    with worker("intake", running, ATTUNE_FAILPOINTS="lane.produced=1") as intake:
        assert intake.wait(60) == EXIT_CODE
    return running


def of_its_lanes(settings: Settings) -> tuple[set[str], set[str]]:
    """(buyers whose order is hidden, the others of their lanes)."""
    seen = {(record.partition, record.offset) for record in read(settings, "customer.events")}
    everything = read(settings, "customer.events", "read_uncommitted")
    hidden = [record for record in everything if (record.partition, record.offset) not in seen]
    lanes = {record.partition for record in hidden}
    beside = {(record.key or b"").decode() for record in everything if record.partition in lanes}
    return {(record.key or b"").decode() for record in hidden}, beside & set(OTHERS)


def test_what_a_killed_intake_has_left_open_is_waited_for(killed: Settings, cases: Cases) -> None:
    buyers, others = of_its_lanes(killed)
    wrong = remind(killed, buyers, others)
    assert wrong == []
    injected = f"{len(buyers)} orders, {len(others)} carts without one in the same lanes"
    cases.passed("67-killed-intake", row("a killed intake's open transaction hides orders", injected, wrong))


def test_who_waits_neither_for_intake_nor_for_open_transactions_reminds_buyers(killed: Settings, cases: Cases) -> None:
    buyers, others = of_its_lanes(killed)
    wrong = remind(killed, buyers, others, unsafe="unsafe.end,unsafe.intake")
    assert wrong != []
    cases.unprotected("67-killed-intake", f"{len(wrong)} of {len(buyers)} buyers are decided on")


# -- a producer of the shop's own writes events in transactions, without intake ----------------------------------------------


@pytest.fixture
def own_producer(running: Settings) -> Producer:
    """All carts are there, and all orders in an open transaction."""
    config = {**client_config(running), "transactional.id": f"{running.prefix}shop", "partitioner": "murmur2_random"}
    producer = Producer(config)
    produce(running, "customer.events", carts())
    producer.init_transactions(30)
    producer.begin_transaction()
    for key, value in orders():
        producer.produce(running.topic("customer.events"), key=key, value=value)
    producer.flush(30)
    return producer


def test_what_an_open_transaction_hides_is_waited_for(running: Settings, own_producer: Producer, cases: Cases) -> None:
    @contextmanager
    def committed() -> Iterator[None]:
        own_producer.commit_transaction(30)
        yield

    wrong = remind(running, set(BUYERS), set(OTHERS), arrival=committed)
    assert wrong == []
    injected = f"{len(BUYERS)} orders, {len(OTHERS)} carts without one"
    cases.passed("68-open-transaction", row("an open transaction in customer.events hides orders", injected, wrong))


def test_who_takes_the_stable_end_for_the_end_reminds_those_who_have_bought(
    running: Settings, own_producer: Producer, cases: Cases
) -> None:
    wrong = remind(running, set(BUYERS), set(OTHERS), unsafe="unsafe.end")
    assert wrong != []
    cases.unprotected("68-open-transaction", f"{len(wrong)} of {len(BUYERS)} buyers are decided on")
    own_producer.abort_transaction(30)
