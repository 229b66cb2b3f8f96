"""Reads topics for clients outside the workers: committed records only, no consumer group, nothing committed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Literal, Self

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec  # where the library defines it

from workers.adapters.kafka.config import quiet_config
from workers.adapters.process import clock
from workers.core.errors import Misconfigured, Unavailable
from workers.core.stream.records import Record, append_time_s
from workers.settings import Settings

_TIMEOUT_S = 10.0
#: Maximum wait of `read_to_end` without progress: a starting broker takes less, a missing topic never responds [s].
_SILENCE_S = 30.0
_EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call] # the library's factories have no types
_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call] # likewise
#: Every installation has this topic.
_LEDGER = "message.decisions"
#: (logical topic, partition)
Source = tuple[str, int]
_TRANSIENT = {
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.REPLICA_NOT_AVAILABLE,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.OFFSET_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._ALL_BROKERS_DOWN,  # the library's own name
    KafkaError._TRANSPORT,
}


def _is_transient(error: KafkaError) -> bool:
    """Returns whether an error may be transient.

    A broker that is starting or handing over a partition briefly responds like this, and librdkafka calls few of these errors
    retriable.
    """
    return error.retriable() or error.code() in _TRANSIENT


def other_prefixes(settings: Settings) -> list[str]:
    """Returns the prefixes of the other installations on this Kafka that this user may see, replays included; may include "".

    Raises Unavailable without a broker.
    """
    try:
        names = AdminClient(dict(quiet_config(settings))).list_topics(timeout=_TIMEOUT_S).topics
    except KafkaException as error:
        raise Unavailable(f"Kafka at {settings.brokers} does not answer: {error}", "is it up? `attune up`") from error
    found = (str(name).removesuffix(_LEDGER) for name in names if str(name).endswith(_LEDGER))
    return sorted(prefix for prefix in found if prefix != settings.prefix)


class TopicReader:
    """Reads some partitions of some topics. A context manager. `topics` are logical names, without the prefix."""

    def __init__(
        self,
        settings: Settings,
        topics: Iterable[str],
        *,
        start: Literal["beginning", "end"] = "beginning",
        partitions: Mapping[str, list[int]] | None = None,
    ) -> None:
        """`partitions` restricts a topic to some partitions. Raises Unavailable without a broker, Misconfigured for an
        unknown topic.
        """
        self._prefix = settings.prefix
        self._admin = AdminClient(dict(quiet_config(settings)))
        self._consumer = Consumer(
            {
                **quiet_config(settings),
                "group.id": f"{settings.prefix}reader",  # never joined, never committed
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "fetch.queue.backoff.ms": 5,
            }
        )
        try:
            sources = [
                (topic, partition)
                for topic in topics
                for partition in (partitions or {}).get(topic) or self._partitions(settings.topic(topic))
            ]
            marks = self._watermarks(sources)
        except KafkaException as error:
            self._consumer.close()
            raise Unavailable(
                f"Kafka at {settings.brokers} does not answer: {error}", "is it up? `attune up`"
            ) from error
        from_end = start == "end"
        self._reached = {source: end if from_end else first for source, (first, end) in marks.items()}
        self._ended = {source: not from_end and first == end for source, (first, end) in marks.items()}
        self._consumer.assign(
            [TopicPartition(self._prefix + topic, p, offset) for (topic, p), offset in self._reached.items()]
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def poll(self, timeout_s: float = 0.2, limit: int = 2000) -> list[Record]:
        """Returns the next records, at most `limit`, after at most `timeout_s`; [] if there are none."""
        records = []
        for message in self._consumer.consume(limit, timeout_s):
            source = (str(message.topic()).removeprefix(self._prefix), message.partition() or 0)
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:  # the library's name for it
                    self._ended[source] = True
                    self._reached[source] = max(self._reached[source], message.offset() or 0)
                    continue
                if _is_transient(error):
                    continue
                raise Unavailable(f"{message.topic()} cannot be read: {error.str()}", "is Kafka up?")
            self._ended[source] = False
            self._reached[source] = (message.offset() or 0) + 1
            # Without headers: confluent_kafka 2.16 crashes on a name that is not UTF-8, and no caller here needs headers.
            records.append(
                Record(
                    topic=source[0],
                    partition=source[1],
                    offset=message.offset() or 0,
                    key=message.key(),
                    value=message.value(),
                    appended_at_s=append_time_s(message.timestamp()[1]),
                )
            )
        return records

    @property
    def at_end(self) -> bool:
        """True once everything committed at the last check has been read."""
        return all(self._ended.values())

    def read_to_end(self, timeout_s: float = 0.2) -> Iterator[Record]:
        """Yields every record committed at the time of the call, and perhaps more.

        Raises Unavailable if records stop arriving.
        """
        marks = self._watermarks(list(self._reached))
        last_progress_s, before = clock.monotonic_s(), self._reached.copy()
        while any(self._reached[source] < end for source, (_, end) in marks.items()):
            yield from self.poll(timeout_s)
            if self._reached != before:
                last_progress_s, before = clock.monotonic_s(), self._reached.copy()
            elif clock.monotonic_s() - last_progress_s > _SILENCE_S:
                raise Unavailable("a topic cannot be read to its end.", "is Kafka up? Was a topic deleted?")

    def _partitions(self, topic: str) -> list[int]:
        metadata = self._consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic]
        if metadata.error is not None:
            raise Misconfigured(
                f"there is no topic {topic}.",
                "`attune topics apply` creates it; is the prefix right, and may this user see it?",
            )
        return sorted(metadata.partitions)

    def _watermarks(self, sources: list[Source]) -> dict[Source, tuple[int, int]]:
        """Returns (first offset, committed end) of each partition, with one request each.

        Uses a separate connection: a request queued after a fetch that waits for records would wait as well. Retries for a
        while, because a partition that was just created may have no leader yet.
        """
        ends_at_s = clock.monotonic_s() + _TIMEOUT_S
        while True:
            try:
                first, end = self._offsets(sources, _EARLIEST), self._offsets(sources, _LATEST)
            except KafkaException as error:
                if not _is_transient(error.args[0]) or clock.monotonic_s() > ends_at_s:
                    raise
                self._admin.poll(0.1)
            else:
                return {source: (first[source], end[source]) for source in sources}

    def _offsets(self, sources: list[Source], spec: OffsetSpec) -> dict[Source, int]:
        requests = {TopicPartition(self._prefix + topic, partition): spec for topic, partition in sources}
        futures = self._admin.list_offsets(
            requests, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=_TIMEOUT_S
        )
        return {
            (str(found.topic).removeprefix(self._prefix), found.partition): future.result().offset
            for found, future in futures.items()
        }
