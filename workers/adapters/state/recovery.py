"""Restores a lane's local state to the end of its changelog: one reader, committed records only, one write batch per chunk.

The changelog is authoritative, and the local state is a copy. A copy that cannot belong to this changelog (the topic was
recreated, or lost its newest records) is set aside and rebuilt. A worker cannot recover state that only the changelog had and
has lost: it refuses to start, before it changes anything, unless an operator has allowed it to start without that state.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from workers.adapters.kafka.preflight import topic_id
from workers.adapters.process import failpoints
from workers.adapters.process.clock import monotonic_s
from workers.adapters.state.checkpoint import Marker, Progress
from workers.adapters.state.rocksdb import RocksStore
from workers.core.errors import Misconfigured, Unavailable

log = logging.getLogger(__name__)

MARKER_KEY = b"\x00marker"
#: Returns the index keys that a restore writes with a state value; raises msgspec.DecodeError for an invalid value.
IndexOf = Callable[[bytes, bytes], list[bytes]]

#: Maximum records of a chunk, and its maximum wait [s]: the end of the changelog is noticed at the end of a chunk.
_CHUNK_RECORDS, _CHUNK_S = 20_000, 0.1
#: From this many records on, chunks bypass the WAL: after a crash, whatever was not flushed is restored again.
_BULK_RECORDS = 50_000
_TIMEOUT_S, _REPORT_INTERVAL_S = 30.0, 5.0
#: Slots of a hash table, one byte each, that records whether a key may have occurred before in a restore into an empty store.
_SLOTS = 1 << 24
_decode_marker = msgspec.msgpack.Decoder(Marker).decode
encode_marker = msgspec.msgpack.Encoder().encode


def restore(
    store: RocksStore,
    topic: str,
    partition: int,
    client_config: Mapping[str, str | int],
    index_of: IndexOf,
    *,
    sources: Sequence[tuple[str, int]] = (),
    past: Callable[[], str] = lambda: "",
    begin_anew: bool = False,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
    stop: Callable[[], bool] = lambda: False,
) -> Progress:
    """Applies the changelog from the store's progress to its committed end; returns the new progress.

    Call it after `init_transactions`: no predecessor can write any more. `on_progress` is called after each chunk with the
    number of records done and in total (an upper bound, because of compaction). If `stop` returns True between two chunks, it
    returns early; the next restore continues there, as it does after a crash at any time.

    Raises Unavailable if the broker is silent for 30 s. Raises Misconfigured if the changelog is missing, has lost its
    beginning, holds an unreadable value, or is empty while the `sources` (topic, partition) no longer have all records that
    went into it. If there is no local state, `past` returns the proof that there were such records, or "" for none. With
    `begin_anew` the records that the sources still have are enough.
    """
    identity = topic_id(client_config, topic)
    consumer = _consumer(topic, client_config, failpoints.isolation_level())
    try:
        first, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_TIMEOUT_S)
        progress = store.progress
        is_own = store.changelog_id == identity
        if is_own and end < progress.changelog_offset <= _written_end(topic, partition, client_config):
            what = f"{topic}[{partition}]: the broker has lost the end of a confirmed transaction"
            log.warning("%s (%d records)", what, progress.changelog_offset - end)
            end = progress.changelog_offset
        if end == 0 and (proof := "its local state exists" if progress.marker.offsets else past()):
            _refuse_lost_history(consumer, f"{topic}[{partition}]", sources, proof, begin_anew=begin_anew)
        if reason := _mismatch(store, progress, identity, end):
            store.quarantine(reason)
            progress = Progress()
        if first > progress.changelog_offset:
            raise Misconfigured(
                f"{topic}[{partition}] has lost its records before {first}, and the state that was in them.",
                "the topic must be compacted, never deleted from; restore it from a backup, or start over with another prefix",
            )
        store.changelog_id = identity
        if progress.changelog_offset >= end:
            return progress
        consumer.assign([TopicPartition(topic, partition, progress.changelog_offset)])
        return _Restore(consumer, store, progress, end, index_of, f"{topic}[{partition}]").run(on_progress, stop)
    except KafkaException as error:
        raise Unavailable(f"{topic}[{partition}] cannot be restored: {error}", "is Kafka up?") from error
    finally:
        consumer.close()


def _written_end(topic: str, partition: int, client_config: Mapping[str, str | int]) -> int:
    """Returns the end of the changelog, including records of open transactions.

    After `init_transactions` this lane has no open transaction, unless the broker was killed after it had confirmed a commit
    and before it wrote the markers (seen once on Kafka 4.4.0: CompleteCommit in its log, no marker in any partition). Local
    state is written only after a confirmed commit, so it is right; the lane's next commit also completes that transaction.
    """
    consumer = _consumer(topic, client_config, "read_uncommitted")
    try:
        return consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_TIMEOUT_S)[1]
    finally:
        consumer.close()


def _consumer(topic: str, client_config: Mapping[str, str | int], isolation: str) -> Consumer:
    return Consumer(
        {
            **client_config,
            "group.id": f"{topic}-restore",  # never joined; begins with the prefix, for which clusters grant us permissions
            "enable.auto.commit": False,
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",  # a gap is not skipped silently
            "fetch.queue.backoff.ms": 5,
            "max.partition.fetch.bytes": 8 << 20,
            "queued.max.messages.kbytes": 32 << 10,  # a worker restores all its lanes concurrently
        }
    )


def _mismatch(store: RocksStore, progress: Progress, identity: str, end: int) -> str:
    """Returns the reason why the local state cannot be a copy of this changelog; empty if it can."""
    if store.changelog_id not in ("", identity):
        return "its changelog was deleted and recreated"
    if progress.changelog_offset > end:
        return f"it is ahead of its changelog ({progress.changelog_offset} > {end})"
    return ""


def _refuse_lost_history(
    consumer: Consumer, changelog: str, sources: Sequence[tuple[str, int]], proof: str, *, begin_anew: bool
) -> None:
    """Rejects the empty changelog of a lane that has worked before.

    Accepts it if the sources still have all their records, or with `begin_anew`.
    """
    for topic, partition in sources:
        first, _ = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_TIMEOUT_S)
        if first > 0 and not begin_anew:
            lost = f"{topic}[{partition}] no longer has the {first} records from which its state was built"
            raise Misconfigured(
                f"{changelog} is empty, and {lost}. The lane has worked before: {proof}.",
                "restore the changelog from a backup; or start without that state, under another prefix, or from the "
                "records that are left with ATTUNE_BEGIN_ANEW=true (docs/operation.md)",
            )
        if first > 0:
            log.warning("%s starts empty, without the first %d records of %s[%d]", changelog, first, topic, partition)


class _Restore:
    """One restore in progress."""

    def __init__(
        self, consumer: Consumer, store: RocksStore, progress: Progress, end: int, index_of: IndexOf, name: str
    ) -> None:
        self._consumer, self._store, self._index_of, self._name = consumer, store, index_of, name
        self._progress, self._start, self._total = progress, progress.changelog_offset, end - progress.changelog_offset
        # If the store is empty, an earlier value can only come from this restore, so most keys need no lookup.
        self._seen = bytearray(_SLOTS) if progress.changelog_offset == 0 and self._total >= _BULK_RECORDS else None

    def run(self, on_progress: Callable[[int, int], None], stop: Callable[[], bool]) -> Progress:
        """Restores chunk by chunk, to the end or until `stop`."""
        last_record_s = reported_s = monotonic_s()
        ended = False
        while not ended and not stop():
            messages = self._consumer.consume(_CHUNK_RECORDS, _CHUNK_S)
            if messages:
                last_record_s, ended = monotonic_s(), self._chunk(messages)
                done = self._progress.changelog_offset - self._start
                on_progress(done, self._total)
                failpoints.hit("restore.chunk")
                if 2 * done >= self._total:
                    failpoints.hit("restore.half")
                if last_record_s - reported_s > _REPORT_INTERVAL_S:
                    reported_s = last_record_s
                    log.info("%s: %d of %d records restored", self._name, done, self._total)
            elif monotonic_s() - last_record_s > _TIMEOUT_S:
                raise Unavailable(f"{self._name} cannot be read to its end.", "is Kafka up?")
        if self._bulk:
            self._store.flush()
        return self._progress

    @property
    def _bulk(self) -> bool:
        return self._total >= _BULK_RECORDS

    def _chunk(self, messages: list[Message[bytes, bytes]]) -> bool:
        """Writes the newest value of each key; returns True at the end of the changelog."""
        found = {message.key(): message.value() for message in messages}
        ended = None in found and _is_the_end(messages)  # only events that are not records have no key
        found.pop(None, None)
        newest = cast("dict[bytes, bytes | None]", found)
        last, marker = messages[-1], self._progress.marker
        if (value := newest.pop(MARKER_KEY, None)) is not None:
            try:
                marker = _decode_marker(value)
            except msgspec.DecodeError as error:
                raise self._unreadable(MARKER_KEY, messages, error) from error
        self._progress = Progress(changelog_offset=(last.offset() or 0) + (last.error() is None), marker=marker)
        index_puts, index_deletes = self._index(newest, messages)
        self._store.write(newest.items(), index_puts, index_deletes, self._progress, logged=not self._bulk)
        return ended

    def _index(
        self, newest: dict[bytes, bytes | None], messages: list[Message[bytes, bytes]]
    ) -> tuple[list[bytes], list[bytes]]:
        """Returns (the index entries that the new values add, those of the previous values, to be deleted)."""
        puts: list[bytes] = []
        deletes: list[bytes] = []
        index_of, seen, get, key = self._index_of, self._seen, self._store.get, b""
        try:
            for key, value in newest.items():
                if seen is None or seen[slot := hash(key) % _SLOTS]:
                    before = get(key)
                    if before is not None:
                        deletes += index_of(key, before)
                else:
                    seen[slot] = 1
                if value is not None:
                    puts += index_of(key, value)
        except msgspec.DecodeError as error:
            raise self._unreadable(key, messages, error) from error
        return puts, deletes

    def _unreadable(self, key: bytes, messages: list[Message[bytes, bytes]], error: Exception) -> Misconfigured:
        """Returns an error with the record's position, not its customer. Skipping the record would silently lose a customer."""
        offset = next(message.offset() for message in reversed(messages) if message.key() == key)
        return Misconfigured(
            f"{self._name} holds a value at offset {offset} that cannot be read: {error}.",
            "did another program write there? Append the correct value, or an empty one, with the same key",
        )


def _is_the_end(messages: list[Message[bytes, bytes]]) -> bool:
    """Returns whether the reader is at the end. Raises KafkaException for any other event."""
    ended = False
    for message in messages:
        if (error := message.error()) is not None:
            if error.code() != KafkaError._PARTITION_EOF:  # the library's public name for it
                raise KafkaException(error)
            ended = True
    return ended
