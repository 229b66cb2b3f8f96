"""Reads fetched batches from foreign producers so that no record in them can stop the consumer.

Kafka's protocol defines the names of record headers as UTF-8, but neither the broker nor every client checks it. aiokafka
raises on the first invalid name, at every fetch: the partition would be stuck forever. Here it is decoded with U+FFFD.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice
from typing import Any

from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy, _DefaultRecordPy
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import decode_varint

#: Bytes of a batch that its length does not count: base offset and the length itself.
_OVERHEAD = struct.Struct(">qi")


class ForeignRecords:
    """The batches of one partition's fetch response; replaces aiokafka's MemoryRecords."""

    def __init__(self, fetched: bytes) -> None:
        self._fetched = fetched
        self._records = MemoryRecords(fetched)

    def has_next(self) -> bool:
        """Returns whether a whole batch is left."""
        return bool(self._records.has_next())

    def size_in_bytes(self) -> int:
        """Returns the size of all batches [bytes]."""
        return int(self._records.size_in_bytes())

    def next_batch(self) -> Any:
        """Returns the next batch.

        Control batches and batches in the old formats, which have no headers, are returned as aiokafka reads them.
        """
        batch = self._records.next_batch()
        if not isinstance(batch, DefaultRecordBatch) or batch.is_control_batch:
            return batch
        return _ForeignBatch(batch, self._fetched)


class _ForeignBatch:
    """One batch, read by aiokafka up to the first record that it cannot read, and by our own code from there."""

    def __init__(self, batch: Any, fetched: bytes) -> None:
        self._batch, self._fetched = batch, fetched

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        return self._read(iter(self._batch))  # decompresses here, where decompression.py expects it

    def _read(self, records: Iterator[Any]) -> Iterator[Any]:
        read = 0
        try:
            for record in records:
                read += 1
                yield record
        except UnicodeDecodeError:
            yield from islice(_tolerant(self._fetched, self._batch.base_offset), read, None)


def _tolerant(fetched: bytes, base_offset: int) -> Iterator[_DefaultRecordPy]:
    """Yields the records of the batch that begins at this offset."""
    start = 0
    while True:
        found, length = _OVERHEAD.unpack_from(fetched, start)
        end = start + _OVERHEAD.size + length
        if found == base_offset:
            break
        start = end
    batch = _DefaultRecordBatchPy(fetched[start:end])
    batch._maybe_uncompress()
    buffer, position = batch._buffer, batch._pos
    for _ in range(batch._num_records):
        record, position = _record(batch, buffer, position)
        yield record


def _record(batch: _DefaultRecordBatchPy, buffer: bytearray, position: int) -> tuple[_DefaultRecordPy, int]:
    """Returns (one record, the position of the next). Source: Kafka's protocol guide, "Record"."""
    _, position = decode_varint(buffer, position)  # its length
    _, position = decode_varint(buffer, position)  # attributes
    after, position = decode_varint(buffer, position)
    offset, position = decode_varint(buffer, position)
    key, position = _bytes(buffer, position)
    value, position = _bytes(buffer, position)
    count, position = decode_varint(buffer, position)
    headers: list[tuple[str, bytes | None]] = []
    for _ in range(count):
        name, position = _bytes(buffer, position)
        header, position = _bytes(buffer, position)
        headers.append(((name or b"").decode("utf-8", "replace"), header))
    by_broker = batch.timestamp_type == batch.LOG_APPEND_TIME
    timestamp = batch.max_timestamp if by_broker else batch.first_timestamp + after
    record = _DefaultRecordPy(batch.base_offset + offset, timestamp, batch.timestamp_type, key, value, headers)
    return record, position


def _bytes(buffer: bytearray, position: int) -> tuple[bytes | None, int]:
    length, position = decode_varint(buffer, position)
    if length < 0:
        return None, position
    return bytes(buffer[position : position + length]), position + length
