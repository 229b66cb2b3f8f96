"""Reads committed messages and cancellations from Kafka into the ledger, and commits offsets once they are stored."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas import codec
from schemas.messages import Cancellation, Message
from workers.delivery.ledger import Ledger

log = logging.getLogger(__name__)

_BATCH_SIZE = 500
_Partition = tuple[str, int]


class Inbox:
    """One member of the sender's consumer group, for one channel.

    A message and its cancellation have the same key and the same partition number in two topics; the `range` assignor assigns
    both to the same member, so the member that sends a message also reads its cancellation.
    """

    def __init__(
        self,
        kafka: Mapping[str, str | int],
        group: tuple[str, str],
        channel: str,
        topics: tuple[str, str],
        ledger: Ledger,
        clock: Callable[[], datetime],
        *,
        ignore_times: bool = False,
    ) -> None:
        """`group`: the names of the group and of this member; the latter survives restarts ("" = a new member each time).

        `topics`: messages, cancellations. `ignore_times`: every message is due immediately (replays).
        """
        self._channel = channel
        self._messages, self._cancellations = topics
        self._ledger = ledger
        self._clock = clock
        self._ignore_times = ignore_times
        self._unread: set[_Partition] = set()  # partitions not read to their end since they were assigned
        self._owned: set[_Partition] = set()
        self._assigned_any = False
        self._read: dict[_Partition, int] = {}  # the offset after the last record in the ledger
        # Static membership: after a crash the successor takes over immediately, and two members with one name cannot both read.
        static = {"group.instance.id": group[1]} if group[1] else {}
        self._consumer = Consumer(
            {
                "queued.max.messages.kbytes": 16_384,  # limits the records in memory; the rest waits in Kafka or in the ledger
                **kafka,
                **static,
                "group.id": group[0],
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "partition.assignment.strategy": "range",
            }
        )
        self._consumer.subscribe(list(topics), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)

    @property
    def lanes(self) -> set[str]:
        """The lanes whose messages this process may send: `topic:partition` for each partition it owns."""
        return {f"{topic}:{partition}" for topic, partition in self._owned if topic == self._messages}

    @property
    def caught_up(self) -> bool:
        """True once the ledger has everything that was in Kafka; until then, the cancellation of a message may be unread."""
        return bool(self._owned) and not self._unread

    @property
    def awaits(self) -> str:
        """The reason why this member does not send yet; empty = it sends, or other members own all partitions."""
        if not self._assigned_any:
            return "not assigned yet"
        return f"{len(self._unread)} partitions not read to their end" if self._unread else ""

    def read(self, timeout_s: float) -> None:
        """Stores newly arrived records in the ledger, in one transaction."""
        records = self._consumer.consume(_BATCH_SIZE, timeout_s)
        with self._ledger.transaction():
            for record in records:
                error, partition = record.error(), (record.topic() or "", record.partition() or 0)
                if error is None:
                    self._take(partition, record.offset() or 0, record.value())
                    self._read[partition] = (record.offset() or 0) + 1
                elif error.code() == KafkaError._PARTITION_EOF:  # the library's public name for it
                    self._unread.discard(partition)
                elif (
                    error.fatal() or error.code() == KafkaError._FATAL
                ):  # for example another process with the same name
                    raise KafkaException(error)
                else:
                    log.warning("Kafka: %s", error.str())  # librdkafka recovers by itself

    def commit(self, *, wait: bool = False) -> None:
        """Commits the offsets of stored records. This only saves reading them again: the ledger detects duplicates anyway."""
        offsets = [
            TopicPartition(*partition, offset) for partition, offset in self._read.items() if partition in self._owned
        ]
        self._read.clear()
        if not offsets:
            return
        try:
            if wait:
                self._consumer.commit(offsets=offsets, asynchronous=False)
            else:
                self._consumer.commit(offsets=offsets)
        except KafkaException as error:  # the partitions were reassigned, or the brokers are unreachable
            log.warning("Kafka: offsets were not committed: %s", error)

    def close(self) -> None:
        """Commits and leaves the group."""
        self.commit(wait=True)
        self._consumer.close()

    def _take(self, partition: _Partition, offset: int, value: bytes | None) -> None:
        now_s = self._clock().timestamp()
        try:
            if partition[0] == self._cancellations:
                cancellation = codec.decode(Cancellation, value)
                if cancellation.channel == self._channel:
                    self._ledger.cancel(cancellation.message_id, now_s)
                return
            message = codec.decode(Message, value)
        except codec.Malformed as error:
            if error.reason == "unknown_schema_version":
                raise  # nothing is lost: the upgraded sender will read it
            log.error("the record at %s:%d:%d cannot be decoded: %s", *partition, offset, error.reason)
            return
        due_s = 0.0 if self._ignore_times else message.send_at.timestamp()
        if not self._ledger.add(message, f"{partition[0]}:{partition[1]}", due_s, now_s):
            log.info("message %s: duplicate, ignored", message.message_id)

    def _assigned(self, _consumer: object, partitions: Iterable[TopicPartition]) -> None:
        self._owned = {(partition.topic, partition.partition) for partition in partitions}
        self._unread = set(self._owned)
        self._assigned_any = True

    def _revoked(self, _consumer: object, _partitions: object) -> None:
        self.commit(wait=True)
        self._lost()

    def _lost(self, *_: object) -> None:
        self._owned, self._unread = set(), set()
        self._read.clear()
