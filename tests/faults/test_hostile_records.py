"""Records that are made to stop intake: each becomes one dead letter, and the next event is mapped at once."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from confluent_kafka import Producer
from kafka import KafkaProducer

from schemas import codec
from schemas.control import DeadLetter
from tests.contract.test_foreign_records import NotUtf8
from tests.faults.table import Cases, Row
from tests.support.service import rss_mb
from tests.support.waiting import wait_until
from tests.support.workers import prepare, produce, read, worker
from workers.adapters.kafka.config import client_config
from workers.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

#: An intake at rest takes about 110 MB.
MOST_MB = 300.0
VIEW = {"type": "track", "event": "Product Viewed", "userId": "ana"}
#: Each alone stopped intake for ever, or made tens of megabytes of it.
MULTIPLYING = {
    "8 kB of numbers": b"[" + b"1," * 3_999 + b"1]",
    "120 kB of numbers": b"[" + b"1," * 59_999 + b"1]",
    "2,000 events that share 20 kB": json.dumps(
        {
            "client_id": "eve",
            "user_properties": {"note": {"value": "x" * 20_000}},
            "events": [{"name": "view_item", "params": {}}] * 2_000,
        }
    ).encode(),
}


@pytest.fixture
def running(settings: Settings) -> Settings:
    return prepare(settings)


def mapped(settings: Settings, user: str) -> int:
    return sum(record.key == user.encode() for record in read(settings, "customer.events"))


def appended_at_s(settings: Settings, user: str) -> float:
    """When the customer's event was mapped, by the broker's clock, which is ours."""
    return max(record.appended_at_s for record in read(settings, "customer.events") if record.key == user.encode())


def event_of(user: str) -> list[tuple[bytes | None, bytes | None]]:
    return [(None, json.dumps(VIEW | {"userId": user}).encode())]


def send_with_null_headers(settings: Settings) -> None:
    producer = Producer(client_config(settings))
    odd: list[list[tuple[str, str | bytes | None]]] = [
        [("traceparent", None)],
        [("ce_specversion", None), ("ce_id", None), ("content-type", None)],
    ]
    for headers in odd:
        producer.produce(settings.topic("shop.events"), b"{", headers=headers, partition=0)
    good = json.dumps(VIEW | {"userId": "bob"}).encode()
    producer.produce(settings.topic("shop.events"), good, headers=[("ce_traceparent", None)], partition=0)
    assert producer.flush(30) == 0


def send_with_a_name_that_is_not_utf8(settings: Settings) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.brokers)
    producer.send(settings.topic("shop.events"), b"{", headers=[(NotUtf8("x"), b"1")], partition=0).get(30)
    producer.close()


def test_records_that_stopped_intake_become_one_dead_letter_each(running: Settings, cases: Cases) -> None:
    with worker("intake", running) as process:
        produce(running, "shop.events", event_of("first"))
        wait_until(lambda: mapped(running, "first"), 60, "intake works")
        produce(running, "shop.events", [(b"eve", value) for value in MULTIPLYING.values()])
        send_with_null_headers(running)
        send_with_a_name_that_is_not_utf8(running)
        letters = len(MULTIPLYING) + 3
        wait_until(lambda: len(read(running, "dead.letters")) >= letters, 60, "all of them are dead letters")
        began_s = time.time()
        produce(running, "shop.events", event_of("last"))
        wait_until(lambda: mapped(running, "last"), 30, "the next event is mapped")
        took_s, peak = appended_at_s(running, "last") - began_s, rss_mb(process.pid)
        assert process.poll() is None, log_of_intake(running)[-2000:]
    found = [codec.decode(DeadLetter, record.value) for record in read(running, "dead.letters")]
    assert len({(one.partition, one.offset) for one in found}) == len(found) == letters
    reasons = ["broken_json", "broken_json", "missing_field", "too_large", "wrong_type", "wrong_type"]
    assert sorted(one.reason for one in found) == reasons
    assert mapped(running, "bob") == 1
    assert peak <= MOST_MB, f"{peak:.0f} MB"
    row = Row(
        case="records that multiply, null headers, a header's name that is not UTF-8",
        injected=f"{letters} records; {peak:.0f} MB at most",
        lost=1 - mapped(running, "last"),
        duplicated=len(found) - letters,
        differences=0,
        recovery_s=took_s,
    )
    cases.passed("68-hostile-records", row)


def test_without_its_own_reading_of_batches_intake_stands_still(running: Settings, cases: Cases) -> None:
    """The proof that the test above can fail."""
    with worker("intake", running, ATTUNE_FAILPOINTS="unsafe.batches"):
        produce(running, "shop.events", event_of("first"))
        wait_until(lambda: mapped(running, "first"), 60, "intake works")
        send_with_a_name_that_is_not_utf8(running)
        wait_until(lambda: "UnicodeDecodeError" in log_of_intake(running), 60, "the fetch has failed")
        produce(running, "shop.events", event_of("last"))
    assert read(running, "dead.letters") == []
    cases.unprotected("68-hostile-records", "a header's name that is not UTF-8: nothing of its partition is read again")


def log_of_intake(settings: Settings) -> str:
    return (Path(settings.data_dir) / "intake.log").read_text()
