"""Batches that other clients may write and aiokafka cannot read: a header's name that is not UTF-8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.record.memory_records import MemoryRecords

from tests.support.waiting import wait_until
from workers.adapters.kafka import decompression, topic_admin
from workers.adapters.kafka.decompression import BoundedRecords
from workers.adapters.kafka.foreign_records import ForeignRecords
from workers.adapters.kafka.reader import TopicReader
from workers.settings import Settings


class NotUtf8(str):
    """A header's name as Go's and C's clients send it: any bytes."""

    __slots__ = ()

    def encode(self, *_: object, **__: object) -> bytes:
        return b"x\xff\xfe"


Headers = Sequence[tuple[str, bytes | None]]


def batch(base_offset: int, *records: Headers, compression: int = 0) -> bytes:
    """One batch as it lies in the log."""
    builder = _DefaultRecordBatchBuilderPy(2, compression, 0, -1, -1, -1, 1 << 20)
    for offset, headers in enumerate(records):
        builder.append(offset, 1_000 + offset, b"k%d" % offset, None if offset == 2 else b"v" * 300, list(headers))
    made = bytearray(builder.build())
    made[:8] = base_offset.to_bytes(8, "big")  # not covered by the checksum
    return bytes(made)


GOOD: Headers = [("a", None), ("b", b"1")]
BAD: Headers = [("a", b"1"), (NotUtf8("x"), b"2"), ("c", None)]


def read(records: Any) -> list[tuple[int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]]:
    found = []
    while records.has_next():
        batch = records.next_batch()
        found += [(record.offset, record.key, record.value, list(record.headers)) for record in batch]
    return found


@pytest.mark.parametrize("compression", [0, 1, 2, 3, 4])
def test_a_batch_with_a_name_that_is_not_utf8_is_read_whole(compression: int) -> None:
    raw = batch(5, GOOD, BAD, GOOD, compression=compression) + batch(8, GOOD, compression=compression)
    with pytest.raises(UnicodeDecodeError):
        read(MemoryRecords(raw))
    found = read(ForeignRecords(raw))
    assert [offset for offset, *_ in found] == [5, 6, 7, 8]
    assert [key for _, key, _, _ in found] == [b"k0", b"k1", b"k2", b"k0"]
    assert [value for _, _, value, _ in found] == [b"v" * 300, b"v" * 300, None, b"v" * 300]
    assert found[1][3] == [("a", b"1"), ("x\ufffd\ufffd", b"2"), ("c", None)]
    assert found[0][3] == found[2][3] == list(GOOD)


def test_other_batches_are_read_as_aiokafka_reads_them() -> None:
    raw = batch(0, GOOD, GOOD, GOOD) + batch(3, GOOD)
    assert read(ForeignRecords(raw)) == read(MemoryRecords(raw))
    assert ForeignRecords(raw).size_in_bytes() == len(raw)


@pytest.mark.parametrize("compression", [0, 4])
def test_the_consumers_of_a_worker_read_so(compression: int) -> None:
    decompression.bound(ForeignRecords)
    assert fetcher.MemoryRecords is BoundedRecords
    found = read(BoundedRecords(batch(5, GOOD, BAD, GOOD, compression=compression)))
    assert [offset for offset, *_ in found] == [5, 6, 7]


@pytest.mark.kafka
def test_our_readers_pass_such_a_record(settings: Settings) -> None:
    from kafka import KafkaProducer

    topic_admin.apply(settings)
    topic = settings.topic("customer.events")
    producer = KafkaProducer(bootstrap_servers=settings.brokers)
    producer.send(topic, b"1", headers=[(NotUtf8("x"), b"1")], partition=0)
    producer.send(topic, b"2", partition=0)
    producer.flush(30)
    producer.close()
    found: list[bytes | None] = []
    with TopicReader(settings, ("customer.events",)) as reader:

        def all_read() -> bool:
            found.extend(record.value for record in reader.poll(0.2))
            return len(found) == 2

        wait_until(all_read, 30.0, "both records are read")
    assert found == [b"1", b"2"]
