"""Restores a lane's local state to the end of its changelog: one reader, committed records only, one write batch per chunk.

The changelog is authoritative and the local state a copy. A copy that cannot belong to this changelog (the topic was
recreated, or lost its newest records) is set aside and rebuilt. No worker can recover what only the changelog had and has
lost: it refuses to start, before it changes anything, unless an operator has allowed it to begin without that state.
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
#: Returns the index keys of one state value, which a restore writes with it; raises msgspec.DecodeError for an invalid value.
IndexOf = Callable[[bytes, bytes], list[bytes]]

#: Maximum records of one chunk, and how long it may gather [s]: the end of the changelog is noticed at the end of a chunk.
_CHUNK_RECORDS, _CHUNK_S = 20_000, 0.1
#: From this many records on, chunks are not logged: after a crash, what was not flushed yet is restored again.
_BULK_RECORDS = 50_000
_SILENCE_S, _REPORT_S = 30.0, 5.0
#: One byte for each slot of a hash: whether a key may have occurred before in a restore into an empty store.
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

    Call it after `init_transactions`: no predecessor can write any more. `on_progress` is called after each chunk (records
    done, records in all: an upper bound, because of compaction). If `stop` returns True between two chunks, it returns early
    with what it has; the next restore continues there, as it does after a crash at any moment.

    Raises Unavailable if the broker is silent for 30 s; Misconfigured if the changelog is missing, has lost its beginning,
    holds an unreadable value, or is empty while the `sources` (topic, partition) no longer have records that were in it.
    `past` says what proves that there were any, if no local state does (empty = nothing); `begin_anew`: what the sources
    still have is enough.
    """
    identity = topic_id(client_config, topic)
    consumer = _consumer(topic, client_config, failpoints.isolation_level())
    try:
        first, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_SILENCE_S)
        progress = store.progress
        is_own = store.changelog_id == identity
        if is_own and end < progress.changelog_offset <= _written_end(topic, partition, client_config):
            what = f"{topic}[{partition}]: the broker has lost the end of a transaction that it had confirmed"
            log.warning("%s (%d records)", what, progress.changelog_offset - end)
            end = progress.changelog_offset
        if end == 0 and (proof := "its local state is here" if progress.marker.offsets else past()):
            _mind_what_is_forgotten(consumer, f"{topic}[{partition}]", sources, proof, begin_anew=begin_anew)
        if reason := _why_not_a_copy(store, progress, identity, end):
            store.quarantine(reason)
            progress = Progress()
        if first > progress.changelog_offset:
            raise Misconfigured(
                f"{topic}[{partition}] has lost its records before {first}, and the state that was in them.",
                "it must be compacted and never delete; bring it back from a copy, or begin anew with another prefix",
            )
        store.changelog_id = identity
        if progress.changelog_offset >= end:
            return progress
        consumer.assign([TopicPartition(topic, partition, progress.changelog_offset)])
        return _Restoring(consumer, store, progress, end, index_of, f"{topic}[{partition}]").run(on_progress, stop)
    except KafkaException as error:
        raise Unavailable(f"{topic}[{partition}] cannot be restored: {error}", "is Kafka up?") from error
    finally:
        consumer.close()


def _written_end(topic: str, partition: int, client_config: Mapping[str, str | int]) -> int:
    """Returns the end of the changelog, including undecided records.

    After `init_transactions` nothing of this lane is undecided, unless the broker was killed after it had confirmed a commit
    and never wrote its markers (seen once on Kafka 4.4.0: CompleteCommit in its log, no marker in any partition). Local state
    is written only after a confirmed commit, so it is right; the lane's next commit decides those records with its own.
    """
    consumer = _consumer(topic, client_config, "read_uncommitted")
    try:
        return consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_SILENCE_S)[1]
    finally:
        consumer.close()


def _consumer(topic: str, client_config: Mapping[str, str | int], isolation: str) -> Consumer:
    return Consumer(
        {
            **client_config,
            "group.id": f"{topic}-restore",  # never joined; begins with the prefix, the only names that a cluster grants us
            "enable.auto.commit": False,
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",  # a gap is not skipped silently
            "fetch.queue.backoff.ms": 5,
            "max.partition.fetch.bytes": 8 << 20,
            "queued.max.messages.kbytes": 32 << 10,  # a worker restores all its lanes concurrently
        }
    )


def _why_not_a_copy(store: RocksStore, progress: Progress, identity: str, end: int) -> str:
    """Returns why the local state cannot be a copy of this changelog; empty if it can."""
    if store.changelog_id not in ("", identity):
        return "its changelog was deleted and made anew"
    if progress.changelog_offset > end:
        return f"it is ahead of its changelog ({progress.changelog_offset} > {end})"
    return ""


def _mind_what_is_forgotten(
    consumer: Consumer, changelog: str, sources: Sequence[tuple[str, int]], proof: str, *, begin_anew: bool
) -> None:
    """Refuses an empty changelog of a lane with a past, unless its sources still have all of it, or with `begin_anew`."""
    for topic, partition in sources:
        first, _ = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_SILENCE_S)
        if first > 0 and not begin_anew:
            forgotten = f"{topic}[{partition}] no longer has the {first} records that it was made from"
            raise Misconfigured(
                f"{changelog} is empty, and {forgotten}: {proof}.",
                "bring the changelog back from a copy; or begin anew: with another prefix, or with what is left, by "
                "ATTUNE_BEGIN_ANEW=true (docs/operation.md)",
            )
        if first > 0:
            log.warning("%s begins anew, without the first %d records of %s[%d]", changelog, first, topic, partition)


class _Restoring:
    """One restore in progress."""

    def __init__(
        self, consumer: Consumer, store: RocksStore, progress: Progress, end: int, index_of: IndexOf, name: str
    ) -> None:
        self._consumer, self._store, self._index_of, self._name = consumer, store, index_of, name
        self._progress, self._start, self._total = progress, progress.changelog_offset, end - progress.changelog_offset
        # Into an empty store: an earlier value can only come from this restore, so that most keys need no lookup.
        self._seen = bytearray(_SLOTS) if progress.changelog_offset == 0 and self._total >= _BULK_RECORDS else None

    def run(self, on_progress: Callable[[int, int], None], stop: Callable[[], bool]) -> Progress:
        """Restores chunk by chunk, to the end or until `stop`."""
        heard = reported = monotonic_s()
        ended = False
        while not ended and not stop():
            messages = self._consumer.consume(_CHUNK_RECORDS, _CHUNK_S)
            if messages:
                heard, ended = monotonic_s(), self._chunk(messages)
                done = self._progress.changelog_offset - self._start
                on_progress(done, self._total)
                failpoints.hit("restore.chunk")
                if 2 * done >= self._total:
                    failpoints.hit("restore.half")
                if heard - reported > _REPORT_S:
                    reported = heard
                    log.info("%s: %d of %d records are restored", self._name, done, self._total)
            elif monotonic_s() - heard > _SILENCE_S:
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
        """Returns the index entries that the new values add, and those of the values before, to be deleted."""
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
        """Returns an error with the record's position, not its customer. Continuing without it would silently lose a customer."""
        offset = next(message.offset() for message in reversed(messages) if message.key() == key)
        return Misconfigured(
            f"{self._name} holds a value at offset {offset} that cannot be read: {error}.",
            "did something else write there? Write the right value, or an empty one, with the same key after it",
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
