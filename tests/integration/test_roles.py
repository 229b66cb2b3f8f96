"""Each role as a process on a real broker: what goes in, what comes out, and what happens when it dies in between."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from schemas import codec
from schemas.catalogue import CatalogueProduct
from schemas.messages import Candidate, MessageRequest, ProductFacts
from tests.support.llm import FakeLlm, Fault
from tests.support.waiting import wait_until
from tests.support.workers import ROOT, prepare, produce, read, worker
from workers.adapters.kafka.partitioner import partition_of
from workers.adapters.playbook.loader import load as load_playbook
from workers.adapters.process.failpoints import EXIT_CODE
from workers.settings import Settings

pytestmark = pytest.mark.kafka

NOW = datetime.now(UTC).isoformat()
SEGMENT = {"type": "track", "event": "Product Viewed", "messageId": "s1", "timestamp": NOW, "userId": "ana"}
GA4 = {
    "client_id": "7.8",
    "user_id": "bo",
    "timestamp_micros": int(datetime.now(UTC).timestamp() * 1e6),
    "events": [{"name": "add_to_cart", "params": {"currency": "EUR", "items": [{"item_id": "p1", "price": 9.5}]}}],
}
BRAZE = {
    "events": [
        {
            "external_id": "cem",
            "name": "ecommerce.order_placed",
            "time": NOW,
            "properties": {"order_id": "o1", "cart_id": "c1", "total_value": 20, "currency": "EUR", "products": []},
        }
    ]
}


def wait_alive(process: subprocess.Popen[bytes], condition: Any, what: str) -> Any:
    """Waits on a condition; a worker that died by itself is a failure at once."""

    def done() -> Any:
        assert process.poll() is None, f"the worker ended with {process.returncode}"
        return condition()

    return wait_until(done, 90, what)


def test_intake_maps_rekeys_and_rejects_each_record_for_itself(settings: Settings) -> None:
    running = prepare(settings)
    sources = [
        json.dumps(value).encode() for value in (SEGMENT, GA4, BRAZE, {"type": "track", "event": "X", "messageId": "m"})
    ]
    produce(running, "shop.events", [(b"any key", value) for value in (*sources, b"{broken", None)])
    with worker("intake", running) as process:
        wait_alive(process, lambda: len(read(running, "dead.letters")) == 3, "three dead letters")
    events = {record.key: codec.decode_event(record.value) for record in read(running, "customer.events")}
    assert {key: getattr(event, "event", "") for key, event in events.items()} == {
        b"ana": "Product Viewed",
        b"bo": "Product Added",
        b"cem": "Order Completed",
    }
    for record in read(running, "customer.events"):
        assert record.partition == partition_of(record.key or b"", running.partitions)
    letters = [codec.decode_topic("dead.letters", record.value) for record in read(running, "dead.letters")]
    assert Counter(letter.reason for letter in letters) == {"no_identity": 1, "broken_json": 1, "null_value": 1}
    assert {letter.topic for letter in letters} == {"shop.events"}


def test_every_line_of_a_json_log_is_an_object(settings: Settings) -> None:
    running = prepare(settings)
    produce(running, "shop.events", [(None, json.dumps(SEGMENT).encode())])
    with worker("intake", running, ATTUNE_LOG_FORMAT="json") as process:
        wait_alive(process, lambda: read(running, "customer.events"), "the event is mapped")
        process.terminate()
        assert process.wait(30) == 0
    lines = (Path(running.data_dir) / "intake.log").read_text().splitlines()
    messages = [json.loads(line)["message"] for line in lines]
    assert any(message.startswith("metrics on") for message in messages)


@pytest.mark.parametrize("failpoint", ["lane.before_commit", "lane.after_commit"])
def test_intake_publishes_each_event_once_through_crashes(settings: Settings, failpoint: str) -> None:
    running = prepare(settings)
    total = 3000
    records: list[tuple[bytes | None, bytes | None]] = [
        (None, json.dumps({**SEGMENT, "messageId": f"m{number}", "userId": f"u{number % 50}"}).encode())
        for number in range(total)
    ]
    produce(running, "shop.events", records)
    for hits in (1, 4):
        with worker("intake", running, ATTUNE_FAILPOINTS=f"{failpoint}={hits}", ATTUNE_BATCH_RECORDS="200") as process:
            assert process.wait(60) == EXIT_CODE
    with worker("intake", running) as process:
        wait_alive(process, lambda: len(read(running, "customer.events")) >= total, "all events mapped")
        process.terminate()
        assert process.wait(30) == 0
    ids = Counter(codec.decode_event(record.value).message_id for record in read(running, "customer.events"))
    assert ids == {f"m{number}": 1 for number in range(total)}


@cache
def smart_band() -> CatalogueProduct:
    return load_playbook(ROOT / "playbooks" / "smart-devices").products["smart-band"]


def request(number: int) -> MessageRequest:
    product = smart_band()
    now = datetime.now(UTC)
    return MessageRequest(
        message_id=f"message-{number}",
        decision_id=f"decision-{number}",
        user_id=f"user-{number}",
        customer_ref="ref",
        campaign_id="cart-abandonment",
        channel="push",
        language="en",
        locale="en-GB",
        target_group="sports",
        prompt="cart-abandonment",
        prompt_version="p",
        product=ProductFacts(product_id="smart-band", name=product.name["en"], facts=product.facts["en"]),
        requested_at=now,
        deadline_at=now + timedelta(minutes=1),
    )


def ask(settings: Settings, numbers: range) -> None:
    values: list[tuple[bytes | None, bytes | None]] = [
        (request(number).user_id.encode(), codec.encode(request(number))) for number in numbers
    ]
    produce(settings, "message.requests", values)


def candidates(settings: Settings) -> list[Candidate]:
    return [codec.decode(Candidate, record.value) for record in read(settings, "message.candidates")]


GOOD_WORDS = json.dumps(
    {
        "title": "Still thinking it over?",
        "body": "Workout recording and sleep tracking: your Smart Band is still in your cart.",
    }
)


def test_generate_writes_one_candidate_per_request_and_names_its_model(settings: Settings) -> None:
    with FakeLlm() as llm:
        llm.fault = Fault.GOOD
        reply = {"choices": [{"message": {"content": GOOD_WORDS}, "finish_reason": "stop"}], "model": "fake-1"}
        llm.reply_with(200, json.dumps(reply).encode(), {"Content-Type": "application/json"})
        running = prepare(settings).changed(llm=llm.base_url, llm_model="fake-1")
        ask(running, range(20))
        with worker("generate", running) as process:
            wait_alive(process, lambda: len(candidates(running)) == 20, "twenty candidates")
    found = candidates(running)
    assert {candidate.message_id for candidate in found} == {f"message-{number}" for number in range(20)}
    assert {(candidate.generated_by, candidate.usage.model) for candidate in found} == {("llm", "fake-1")}
    for record in read(running, "message.candidates"):
        assert record.partition == partition_of(record.key or b"", running.partitions)


@pytest.mark.parametrize(
    "fault",
    [Fault.EMPTY, Fault.HTML, Fault.TRUNCATED, Fault.WRONG_SHAPE, Fault.NAN, Fault.HUGE, Fault.BROKEN, Fault.RESET],
)
def test_with_a_broken_llm_every_request_still_gets_its_template(settings: Settings, fault: Fault) -> None:
    with FakeLlm() as llm:
        llm.fault = fault
        running = prepare(settings).changed(llm=llm.base_url, llm_model="fake-1", llm_deadline_s=2.0)
        ask(running, range(4))
        with worker("generate", running) as process:
            wait_alive(process, lambda: len(candidates(running)) == 4, "four candidates")
    found = candidates(running)
    assert {candidate.generated_by for candidate in found} == {"template"}
    assert all(candidate.text.body for candidate in found)
    assert "" not in {candidate.failure for candidate in found}


def test_a_killed_generate_leaves_no_request_behind(settings: Settings) -> None:
    with FakeLlm() as llm:
        llm.fault = Fault.SLOW
        running = prepare(settings).changed(llm=llm.base_url, llm_model="fake-1", llm_deadline_s=15.0)
        ask(running, range(12))
        with worker("generate", running) as process:
            wait_alive(process, lambda: len(llm.requests) >= 8, "eight calls in flight")
            process.kill()
        llm.fault = Fault.GOOD
        llm.release()
        with worker("generate", running) as process:
            wait_alive(
                process,
                lambda: (
                    {candidate.message_id for candidate in candidates(running)} >= {f"message-{n}" for n in range(12)}
                ),
                "a candidate for every request",
            )


def test_generate_refuses_an_unknown_model_at_the_start(settings: Settings) -> None:
    with FakeLlm() as llm:
        running = prepare(settings).changed(llm=llm.base_url, llm_model="no-such-model")
        with worker("generate", running) as process:
            assert process.wait(60) == 78
    log = (ROOT / running.data_dir / "generate.log").read_text()
    assert "no-such-model" in log
