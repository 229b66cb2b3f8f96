"""A real worker reads what a stranger has compressed: small for Kafka, large for whoever unpacks it."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer

from tests.support.waiting import wait_until
from tests.support.workers import prepare, produce, read, worker
from workers.adapters.kafka.config import client_config
from workers.settings import Settings

pytestmark = pytest.mark.kafka

BOMB_MIB = 200
#: What intake may need on top of what it needs anyway: one buffer, what is copied out of it, and what the allocator keeps.
MOST_MORE_MIB = 120


def event(name: str) -> bytes:
    when = "2025-03-01T12:00:00Z"
    said = {"type": "track", "event": "Product Viewed", "userId": "ana", "messageId": name, "timestamp": when}
    return msgspec.json.encode(said | {"properties": {"product_id": "smart-band"}})


def throw(settings: Settings, codec: str) -> None:
    """One record of BOMB_MIB, as small as the codec makes it."""
    config = {"compression.type": codec, "message.max.bytes": 2 * BOMB_MIB << 20, "partitioner": "murmur2_random"}
    producer = Producer({**client_config(settings), **config, "queue.buffering.max.kbytes": 2 * BOMB_MIB << 10})
    errors: list[object] = []
    producer.produce(
        settings.topic("shop.events"),
        key=b"ana",
        value=bytes(BOMB_MIB << 20),
        on_delivery=lambda error, _: errors.append(error),
    )
    assert producer.flush(120) == 0
    assert errors == [None], "Kafka takes it: its limits count what is compressed"


def most_mib(pid: int) -> int:
    """The most real memory that a process ever had."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) >> 10 if found else 0


def test_bombs_become_dead_letters_and_fill_no_memory(settings: Settings) -> None:
    prepared = prepare(settings)
    with worker("intake", prepared) as process:
        produce(prepared, "shop.events", [(b"ana", event("m1"))])
        wait_until(lambda: len(read(prepared, "customer.events")) == 1, 60, "the first event")
        before = most_mib(process.pid)
        for codec in ("zstd", "gzip"):
            throw(prepared, codec)
        produce(prepared, "shop.events", [(b"ana", event("m2"))])
        wait_until(lambda: len(read(prepared, "customer.events")) == 2, 60, "the event behind them")
        more = most_mib(process.pid) - before
        assert process.poll() is None
        assert more < MOST_MORE_MIB
    letters = [msgspec.json.decode(record.value or b"") for record in read(prepared, "dead.letters")]
    found = sorted((letter["topic"].removeprefix(prepared.prefix), letter["offset"]) for letter in letters)
    assert found == [("shop.events", 1), ("shop.events", 2)]
