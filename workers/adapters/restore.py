"""Brings a lane's local state up to the end of its changelog: one reader, committed records only, one write batch a chunk."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from workers.adapters.clock import monotonic_s
from workers.adapters.state_store import Marker, Progress, RocksStore
from workers.errors import Unavailable

log = logging.getLogger(__name__)

MARKER_KEY = b"\x00marker"
#: index keys of one state value: what a restore writes beside it
IndexOf = Callable[[bytes, bytes], list[bytes]]

_CHUNK_RECORDS = 10_000
_SILENCE_S = 30.0
_decode_marker = msgspec.msgpack.Decoder(Marker).decode
encode_marker = msgspec.msgpack.Encoder().encode


def restore(
    store: RocksStore, topic: str, partition: int, client_config: Mapping[str, str | int], index_of: IndexOf
) -> Progress:
    """Applies the changelog from the store's progress to its committed end; returns the new progress.

    Call it after `init_transactions`: no predecessor can write any more. Local state that is ahead of the changelog (the
    topic was deleted or lost records) is thrown away and rebuilt. Raises Unavailable when the broker is silent for 30 s.
    """
    consumer = Consumer(
        {
            **client_config,
            "group.id": f"restore-{topic}-{partition}",  # never joined, never committed
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": 5,
        }
    )
    try:
        first, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_SILENCE_S)
        progress = store.progress
        if progress.changelog_offset > end or (progress.changelog_offset and end == 0):
            log.warning(
                "the local state of %s[%d] is ahead of its changelog (%d > %d): rebuilding it",
                *(topic, partition, progress.changelog_offset, end),
            )
            store.clear()
            progress = Progress()
        start = max(progress.changelog_offset, first)
        if start >= end:
            return progress
        consumer.assign([TopicPartition(topic, partition, start)])
        return _apply_to_end(consumer, store, progress, index_of)
    except KafkaException as error:
        raise Unavailable(f"{topic}[{partition}] cannot be restored: {error}", "is Kafka up?") from error
    finally:
        consumer.close()


def _apply_to_end(consumer: Consumer, store: RocksStore, progress: Progress, index_of: IndexOf) -> Progress:
    heard = monotonic_s()
    while True:
        messages = consumer.consume(_CHUNK_RECORDS, 0.5)
        newest: dict[bytes, bytes | None] = {}
        next_offset, marker, ended = progress.changelog_offset, progress.marker, False
        for message in messages:
            error, offset, value = message.error(), message.offset() or 0, message.value()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:  # the library's public name for it
                    ended = True
                    next_offset = offset
                    continue
                raise KafkaException(error)
            key = message.key()
            next_offset = offset + 1
            if key == MARKER_KEY and value is not None:
                marker = _decode_marker(value)
            elif key is not None:
                newest[key] = value
        if messages:
            heard = monotonic_s()
            progress = Progress(changelog_offset=next_offset, marker=marker)
            _write(store, newest, progress, index_of)
        if ended:
            return progress
        if monotonic_s() - heard > _SILENCE_S:
            raise Unavailable("the changelog cannot be read to its end.", "is Kafka up?")


def _write(store: RocksStore, newest: dict[bytes, bytes | None], progress: Progress, index_of: IndexOf) -> None:
    """The newest value of each key, and the index entries that follow from it instead of those of the value before."""
    index_puts: list[bytes] = []
    index_deletes: list[bytes] = []
    for key, value in newest.items():
        before = store.get(key)
        if before is not None:
            index_deletes.extend(index_of(key, before))
        if value is not None:
            index_puts.extend(index_of(key, value))
    store.write(newest.items(), index_puts, index_deletes, progress)
