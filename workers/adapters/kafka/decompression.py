"""Bounds the decompressed size of batches: 8 kB of zstd can become 256 MiB, and Kafka's limits count compressed bytes.

A batch that would be larger, or that cannot be decompressed, is skipped; one record that says so takes its place and becomes
a dead letter. The decompressed size of one fetch response is bounded as well: the rest of it is fetched again.

Uses private names of aiokafka 0.14: the decoders that its record modules have imported, and the name `MemoryRecords` in its
fetcher (tests/unit/test_unpacking.py fails if they move).
"""

from __future__ import annotations

import logging
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import cramjam
import msgspec
from aiokafka.codec import _detect_xerial_stream
from aiokafka.consumer import fetcher
from aiokafka.record._crecords import default_records, legacy_records
from aiokafka.record.memory_records import MemoryRecords

log = logging.getLogger(__name__)

#: Maximum decompressed size of a batch. A producer's batch is 1 MB or less by default, and about ten times that if an old
#: producer counts compressed bytes.
MAX_BATCH_BYTES = 32 << 20
#: Decompressed bytes of one partition that are taken from one fetch response; the rest waits for the next.
MAX_RESPONSE_BYTES = 16 << 20
_UNCOMPRESSED = 0
#: Each member of a gzip stream copies the data after it.
_MAX_MEMBERS = 256


class DecompressionFailed(Exception):
    """Raised for a batch that is too large or corrupt. The message contains none of its data."""


class _Thread(threading.local):
    """Per-thread state: the decoders' `buffer`, which takes memory only as far as it is used, and bytes `unpacked` so far."""

    def __init__(self) -> None:
        self.buffer = bytearray(MAX_BATCH_BYTES)
        self.unpacked = 0


_thread = _Thread()


def gzip_decode(payload: Any) -> bytes:
    """Decompresses at most MAX_BATCH_BYTES; raises DecompressionFailed beyond that, as do the other decoders."""
    parts: list[bytes] = []
    left, room = bytes(payload), MAX_BATCH_BYTES
    try:
        while left:
            if len(parts) >= _MAX_MEMBERS:
                raise DecompressionFailed("more pieces than allowed")
            member = zlib.decompressobj(wbits=31)
            parts.append(member.decompress(left, room + 1))
            room -= len(parts[-1])
            if room < 0:
                raise DecompressionFailed("larger than allowed")
            if not member.eof:
                raise DecompressionFailed("cut off")
            left = member.unused_data
    except zlib.error as error:
        raise DecompressionFailed("not gzip") from error
    return _counted(b"".join(parts))


def zstd_decode(payload: Any) -> bytes:
    return _into_buffer(cramjam.zstd.decompress_into, payload)


def lz4_decode(payload: Any) -> bytes:
    return _into_buffer(cramjam.lz4.decompress_into, payload)


def snappy_decode(payload: Any) -> bytes:
    """Like `gzip_decode`. Java clients frame snappy in blocks, each preceded by its length."""
    view = memoryview(payload)
    if not _detect_xerial_stream(view):
        return _into_buffer(cramjam.snappy.decompress_raw_into, view)
    parts: list[bytes] = []
    at, room = 16, MAX_BATCH_BYTES
    while at < len(view):
        size = int.from_bytes(view[at : at + 4], "big")
        parts.append(_into_buffer(cramjam.snappy.decompress_raw_into, view[at + 4 : at + 4 + size], room))
        room -= len(parts[-1])
        at += 4 + size
    return b"".join(parts)


def _into_buffer(decompress: Callable[[bytes, memoryview], int], payload: Any, room: int = MAX_BATCH_BYTES) -> bytes:
    with memoryview(_thread.buffer) as whole, whole[:room] as buffer:
        try:
            size = int(decompress(bytes(payload), buffer))
        except cramjam.DecompressionError as error:
            raise DecompressionFailed("larger than allowed, or broken") from error
        return _counted(bytes(buffer[:size]))


def _counted(unpacked: bytes) -> bytes:
    _thread.unpacked += len(unpacked)
    return unpacked


class BoundedRecords:
    """The records that aiokafka's fetcher reads from one partition's response, bounded in unpacked size."""

    #: Reads the batches one by one.
    reader: type[Any] = MemoryRecords

    def __init__(self, data: bytes) -> None:
        self._records = self.reader(data)
        self.unpacked = 0

    def size_in_bytes(self) -> int:
        return int(self._records.size_in_bytes())

    def has_next(self) -> bool:
        """Also returns False once enough is decompressed: the fetcher continues after the last record it was given."""
        return self.unpacked < MAX_RESPONSE_BYTES and bool(self._records.has_next())

    def next_batch(self) -> Any:
        batch: Any = self._records.next_batch()
        return batch if getattr(batch, "compression_type", None) == _UNCOMPRESSED else _Guarded(batch, self)


class _Guarded:
    """A compressed batch of a response, decompressed when its records are read."""

    def __init__(self, batch: Any, response: BoundedRecords) -> None:
        self._batch = batch
        self._response = response

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        before = _thread.unpacked
        try:
            records: Iterator[Any] = iter(self._batch)
        except DecompressionFailed as error:
            self._response.unpacked += MAX_BATCH_BYTES  # charged for the time it took: the response ends here
            last = self._batch.next_offset - 1
            log.error("skipping the compressed batch that ends at offset %d: %s", last, error)
            return iter((_Stub(last, getattr(self._batch, "max_timestamp", 0), str(error)),))
        self._response.unpacked += _thread.unpacked - before
        return records


class _Stub(msgspec.Struct, frozen=True):
    """Stands in for a whole batch; has the interface of aiokafka's records."""

    offset: int
    timestamp: int
    why: str
    timestamp_type: int = 1
    key: None = None
    headers: tuple[()] = ()
    checksum: None = None

    @property
    def value(self) -> bytes:
        """A description of the batch for the dead letter; it is not JSON, so that it cannot be mistaken for an event."""
        return f"a compressed batch that ends at offset {self.offset}: {self.why} ({MAX_BATCH_BYTES} bytes)".encode()


def bound(reader: type[Any] = MemoryRecords) -> None:
    """Makes every aiokafka consumer in this process decompress within these limits from now on, reading batches by `reader`.

    May be called again.
    """
    for module in (default_records, legacy_records):
        for decode in (gzip_decode, snappy_decode, lz4_decode, zstd_decode):
            if hasattr(module, decode.__name__):
                setattr(module, decode.__name__, decode)
    BoundedRecords.reader = reader
    fetcher.MemoryRecords = BoundedRecords
