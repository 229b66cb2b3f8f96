"""A small batch cannot fill the memory of a worker, and what is passed over is said."""

from __future__ import annotations

import gzip
import logging
import struct
import time
import tracemalloc
from typing import Any

import cramjam
import pytest
from aiokafka import codec
from aiokafka.codec import snappy_encode
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.record._crecords import default_records
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition

from tests.support.cpu_time import slowness
from workers.adapters.kafka import decompression
from workers.adapters.kafka.decompression import MAX_BATCH_BYTES, BoundedRecords, bound

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
CODECS = {"gzip": GZIP, "snappy": SNAPPY, "lz4": LZ4, "zstd": ZSTD}
MIB = 1 << 20


@pytest.fixture(autouse=True)
def _bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a worker; afterwards as it was."""
    for name in ("gzip_decode", "snappy_decode", "lz4_decode", "zstd_decode"):
        monkeypatch.setattr(default_records, name, getattr(default_records, name))
    monkeypatch.setattr(fetcher, "MemoryRecords", fetcher.MemoryRecords)
    bound()


def batch(codec: int, *values: bytes, base: int = 0) -> bytes:
    """One batch as a producer writes it."""
    builder = DefaultRecordBatchBuilder(2, codec, False, -1, -1, -1, 1 << 30)
    for offset, value in enumerate(values):
        builder.append(offset, 1000, b"key", value, [("h", b"v")])
    data = bytearray(builder.build())
    struct.pack_into(">q", data, 0, base)
    return bytes(data)


def read(data: bytes) -> PartitionRecords:
    records = fetcher.MemoryRecords(data)
    return PartitionRecords(TopicPartition("shop.events", 0), records, [], 0, None, None, True, READ_COMMITTED)


def read_all(data: bytes) -> PartitionRecords:
    records = read(data)
    for _ in records:
        pass
    return records


def values(data: bytes) -> list[tuple[int, bytes]]:
    return [(record.offset, record.value) for record in read(data)]


@pytest.mark.parametrize("codec", [0, *CODECS.values()], ids=["none", *CODECS])
def test_honest_batches_are_read_as_before(codec: int) -> None:
    data = batch(codec, b"a", b"", b"c" * 100_000) + batch(codec, b"d", base=3)
    assert values(data) == [(0, b"a"), (1, b""), (2, b"c" * 100_000), (3, b"d")]
    (first, *_) = read(data)
    assert (first.key, first.headers, first.timestamp) == (b"key", (("h", b"v"),), 1000)


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_a_bomb_is_passed_over_and_its_neighbours_are_read(codec: int, caplog: pytest.LogCaptureFixture) -> None:
    bomb = batch(codec, bytes(MAX_BATCH_BYTES), b"behind it", base=1)
    data = batch(codec, b"before") + bomb + batch(codec, b"after", base=3)
    assert read_all(data).next_fetch_offset == 3
    tracemalloc.start()
    with caplog.at_level(logging.ERROR):
        found = values(data)
        assert values(batch(codec, b"after", base=3)) == [(3, b"after")], "the next answer begins behind it"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [offset for offset, _ in found] == [0, 2]
    assert b"batch that ends at offset 2" in dict(found)[2]
    assert "skipping the compressed batch that ends at offset 2" in caplog.text
    assert peak < 3 * MAX_BATCH_BYTES


@pytest.mark.slow
def test_eight_kilobytes_of_zstd_that_are_256_mib_take_no_memory() -> None:
    bomb = batch(ZSTD, bytes(256 * MIB))
    assert len(bomb) < 20_000
    values(batch(ZSTD, b"the buffer is there"))
    tracemalloc.start()
    found = values(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(found), found[0][0]) == (1, 0)
    assert peak < MIB


@pytest.mark.slow
@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_many_middling_batches_come_in_several_answers(codec: int) -> None:
    size = 6 * MIB
    data = b"".join(batch(codec, bytes(size), base=number) for number in range(20))
    taken, rounds = 0, 0
    while taken < 20:
        records = read(data)
        got = [record.offset for record in records if record.offset >= taken]
        assert len(got) * size <= decompression.MAX_RESPONSE_BYTES + size
        assert records.next_fetch_offset == got[-1] + 1, "the next fetch begins behind it"
        data = b"".join(batch(codec, bytes(size), base=number) for number in range(records.next_fetch_offset, 20))
        taken, rounds = records.next_fetch_offset, rounds + 1
    assert rounds == 7


def test_a_partition_full_of_bombs_takes_nothing_from_another() -> None:
    bombs, honest = read(batch(ZSTD, bytes(MAX_BATCH_BYTES))), read(batch(ZSTD, b"a") + batch(ZSTD, b"b", base=1))
    assert len(list(bombs)) == 1
    assert [record.value for record in honest] == [b"a", b"b"]


@pytest.mark.parametrize(
    ("decode", "packed"),
    [
        (decompression.gzip_decode, gzip.compress(b"a") + gzip.compress(b"b")),
        (decompression.lz4_decode, bytes(cramjam.lz4.compress(b"a")) + bytes(cramjam.lz4.compress(b"b"))),
        (decompression.zstd_decode, bytes(cramjam.zstd.compress(b"a")) + bytes(cramjam.zstd.compress(b"b"))),
        (decompression.snappy_decode, snappy_encode(b"ab", xerial_blocksize=1)),
        (decompression.snappy_decode, snappy_encode(b"ab", xerial_compatible=False)),
    ],
    ids=["gzip", "lz4", "zstd", "snappy of Java", "snappy"],
)
def test_what_is_made_of_several_pieces_is_one(decode: Any, packed: bytes) -> None:
    assert decode(packed) == b"ab"


def test_thousands_of_empty_pieces_take_no_time() -> None:
    began_s = time.thread_time()
    with pytest.raises(decompression.DecompressionFailed):
        decompression.gzip_decode(gzip.compress(b"") * 50_000)
    assert time.thread_time() - began_s < 0.2 * slowness()


@pytest.mark.parametrize("piece", ["gzip", "lz4", "zstd", "snappy"])
def test_many_pieces_are_bounded_together(piece: str) -> None:
    half = bytes(MAX_BATCH_BYTES // 2 + 1)
    packed = snappy_encode(half * 2) if piece == "snappy" else getattr(codec, f"{piece}_encode")(half) * 2
    with pytest.raises(decompression.DecompressionFailed):
        getattr(decompression, f"{piece}_decode")(packed)


@pytest.mark.parametrize("name", ["gzip", "lz4", "zstd", "snappy"])
def test_what_cannot_be_unpacked_is_told_from_other_errors(name: str) -> None:
    for broken in (b"nonsense" * 9, getattr(codec, f"{name}_encode")(b"abc" * 99)[:-9]):
        with pytest.raises(decompression.DecompressionFailed):
            getattr(decompression, f"{name}_decode")(broken)


def test_the_names_of_aiokafka_that_are_touched_are_there() -> None:
    assert fetcher.MemoryRecords is BoundedRecords
    for name in ("gzip_decode", "snappy_decode", "lz4_decode", "zstd_decode"):
        assert getattr(default_records, name) is getattr(decompression, name)
