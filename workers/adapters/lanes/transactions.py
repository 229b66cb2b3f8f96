"""One transactional producer per lane: the effects of a batch and the offsets it has applied become visible together.

Works like exactly-once in Kafka Streams (KIP-447, KIP-890 on the broker's side): `transactional.id` names the lane, so a
successor's `init_transactions` aborts the predecessor's open transaction and fences the predecessor.

A commit is requested once. librdkafka itself sends it a second time if the connection breaks before the response arrives (and
it does not support version 2 of transactions, in which the broker would recognise the duplicate): the first request may still
be in flight, and would end the next transaction halfway. librdkafka waits before it resends; any commit that took as long as
that wait is in doubt, and the next transaction begins under a new epoch (`_renew`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import (
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from schemas.topics import SINGLE
from workers.adapters.process import clock, failpoints
from workers.adapters.state.checkpoint import Marker
from workers.adapters.state.recovery import MARKER_KEY, encode_marker
from workers.core.errors import Fatal, Fenced, Misconfigured, Unavailable
from workers.core.stream.records import Output

log = logging.getLogger(__name__)

_FENCED = {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}  # library's names
#: Errors caused by the topics' settings and permissions: a restart does not help.
_FORBIDDEN = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.TOPIC_AUTHORIZATION_FAILED}
_POLL_S = 0.05
#: The library resends a request after this time, plus or minus 20 % [ms].
_RETRY_BACKOFF_MS = 250
#: A commit that took this long may have been requested twice; a faster one was not [s].
IN_DOUBT_S = 0.8 * _RETRY_BACKOFF_MS / 1000
#: Time limit for aborting a failed transaction; after that the broker aborts it at its own timeout [s].
_ABORT_S = 5.0
Delivered = Callable[[KafkaError | None, "Message[bytes, bytes]"], None]
#: (offsets, the group's metadata, its name)
GroupOffsets = tuple[list[TopicPartition], object, str]


class LaneProducer:
    """A blocking producer; call it from a thread. Any error it raises ends the lane: the state in memory cannot be undone."""

    def __init__(
        self, client_config: Mapping[str, str | int], transactional_id: str, timeout_s: float, compression: str
    ) -> None:
        #: The broker's time of the newest marker, and the monotonic time of its response; None = not known [s].
        self.stamped: tuple[float, float] | None = None
        self._timeout_s = timeout_s
        self._id = transactional_id
        self._client_config = client_config
        self._config: dict[str, str | int] = {
            **client_config,
            "transactional.id": transactional_id,
            "transaction.timeout.ms": int(timeout_s * 1000),
            "linger.ms": 0,  # a commit flushes at once; waiting would only add latency
            "compression.type": compression,
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 200_000,
            "queue.buffering.max.kbytes": 64 << 10,  # beyond it `produce` waits for the broker
            "retry.backoff.ms": _RETRY_BACKOFF_MS,
        }
        self._producer = failpoints.make_producer(self._config)

    def fence(self) -> None:
        """Takes the lane over: aborts a predecessor's open transaction and fences it. Raises Unavailable after the timeout."""
        try:
            self._retrying(lambda: self._producer.init_transactions(self._timeout_s))
        except KafkaException as error:
            raise Unavailable(
                f"{self._id}: transactions cannot be initialised: {error}", "is Kafka up, and may this user write?"
            ) from error

    def commit(
        self,
        outputs: Iterable[Output],
        *,
        prefix: str,
        partition: int | None,
        changelog: tuple[str, int] | None = None,
        puts: Iterable[tuple[bytes, bytes | None]] = (),
        marker: Marker | None = None,
        group_offsets: GroupOffsets | None = None,
    ) -> int:
        """Commits one transaction. Returns the offset of the marker in the changelog (-1 without a changelog).

        Outputs go to `partition`, or are partitioned by murmur2 of their key if it is None; an output that names its own
        partition goes there, and a topic with one partition gets all of its outputs in it. Progress is committed as `marker`
        in the changelog, or as `group_offsets`.

        Raises Fenced if a successor owns the lane, Fatal otherwise, including when the response to the commit does not arrive
        in time. In that case only a restart can determine the outcome, from the marker that it finds.
        """
        marker_offset = -1

        def delivered(error: KafkaError | None, message: Message[bytes, bytes]) -> None:
            nonlocal marker_offset
            offset = message.offset()
            if error is None and offset is not None:
                marker_offset = offset
                kind, at_ms = message.timestamp()
                self.stamped = (at_ms / 1000, clock.monotonic_s()) if kind == TIMESTAMP_LOG_APPEND_TIME else None

        try:
            self._producer.begin_transaction()
            failpoints.hit("lane.before_produce")
            if changelog is not None and marker is not None:
                topic, lane = changelog
                for key, value in puts:
                    self._produce(topic, value, key, lane)
                failpoints.hit("lane.half_produced", self._producer.flush)
                self._produce(topic, encode_marker(marker), MARKER_KEY, lane, delivered)
            for output in outputs:
                own = partition if output.partition is None else output.partition
                to = 0 if output.topic in SINGLE else -1 if own is None else own
                self._produce(prefix + output.topic, output.value, output.key, to)
            self._producer.flush(self._timeout_s)  # the steps below are timed
            requested_at_s = clock.monotonic_s()
            if group_offsets is not None:
                offsets, group, _ = group_offsets
                self._retrying(lambda: self._producer.send_offsets_to_transaction(offsets, group, self._timeout_s))
            failpoints.hit("lane.produced", self._producer.flush)
            failpoints.hit("lane.before_commit", self._producer.flush)
            self._end()
            took_s = clock.monotonic_s() - requested_at_s
            failpoints.hit("lane.after_commit")
            if took_s >= IN_DOUBT_S and failpoints.renews_epoch():
                self._renew(took_s)
                if self._was_overtaken(changelog, marker_offset, group_offsets):
                    raise Fenced(f"{self._id}: a newer worker owned this lane in the meantime.")
        except KafkaException as error:
            raise self._ended(error) from error
        except SystemError as error:  # the client wanted to raise when it called one of our callbacks
            if not isinstance(error.__cause__, KafkaException):
                raise
            raise self._ended(error.__cause__) from error
        return marker_offset

    def _end(self) -> None:
        """Commits. Raises Fatal if no response arrives in time: a second request could affect another transaction."""
        try:
            self._producer.commit_transaction(self._timeout_s)
        except KafkaException as error:
            if not error.args[0].retriable():
                raise
            raise Fatal(
                f"{self._id}: it is unknown whether its last transaction was committed: {error.args[0].str()}",
                "the worker restarts and finds out; is Kafka up?",
            ) from error

    def _renew(self, took_s: float) -> None:
        """Begins a new epoch: the broker rejects whatever the old one may still have in flight."""
        log.info(
            "%s: a commit took %.1f s and may have been requested twice: a new producer takes over", self._id, took_s
        )
        self._producer = failpoints.make_producer(self._config)
        self.fence()

    def _was_overtaken(
        self, changelog: tuple[str, int] | None, marker_offset: int, group_offsets: GroupOffsets | None
    ) -> bool:
        """Returns whether another owner has committed to this lane since our commit; our own new epoch fenced it, too."""
        if changelog is None and group_offsets is None:
            return False
        offsets, group = (
            (group_offsets[0], group_offsets[2]) if group_offsets is not None else ([], f"{self._id}-looks")
        )
        consumer = Consumer({**self._client_config, "group.id": group, "isolation.level": "read_committed"})
        try:
            if changelog is not None:
                end = consumer.get_watermark_offsets(TopicPartition(*changelog), timeout=self._timeout_s)[1]
                return end > marker_offset + 2  # the transaction's end follows the marker
            found = {(tp.topic, tp.partition): tp.offset for tp in consumer.committed(offsets, self._timeout_s)}
            return any(found[tp.topic, tp.partition] != tp.offset for tp in offsets)
        finally:
            consumer.close()

    def _failure(self) -> KafkaError | None:
        """Returns why the open transaction has failed; None if it has not. Tries to begin another: a failure has no effect."""
        try:
            self._producer.begin_transaction()
        except KafkaException as error:
            reason: KafkaError = error.args[0]
            return reason if reason.code() != KafkaError._STATE else None
        return None

    def _abort(self) -> KafkaError | None:
        """Aborts the failed transaction. Returns the error that prevents it; None if it is aborted.

        After a pause longer than `timeout_s` our own records have timed out, or the library gives no reason but "fatal": only
        this request to the broker shows whether a successor has taken over.
        """
        try:
            self._producer.abort_transaction(_ABORT_S)
        except KafkaException as error:
            reason: KafkaError = error.args[0]
            return reason
        return None

    def close(self) -> None:
        """Aborts an open transaction. The instance cannot be used afterwards."""
        try:
            self._producer.abort_transaction(self._timeout_s)
        except KafkaException:
            return  # no transaction is open, or we are fenced: the coordinator has aborted it or will

    def _produce(
        self, topic: str, value: bytes | None, key: bytes | None, partition: int, delivered: Delivered | None = None
    ) -> None:
        while True:
            try:
                self._producer.produce(topic, value=value, key=key, partition=partition, on_delivery=delivered)
            except BufferError:  # the local queue is full: deliver some records
                self._producer.poll(_POLL_S)
            else:
                return

    @staticmethod
    def _retrying(call: Callable[[], object]) -> None:
        """Retries while librdkafka says that the same call may succeed (a timeout leaves the operation running)."""
        for attempt in range(3):
            try:
                call()
            except KafkaException as error:
                if attempt == 2 or not error.args[0].retriable():
                    raise
            else:
                return

    def _ended(self, error: KafkaException) -> Fatal:
        reason: KafkaError = error.args[0]
        if reason.code() == KafkaError._STATE:  # the library's name: the transaction had failed before this call
            reason = self._failure() or reason
        found = reason if reason.code() in _FENCED else self._abort()
        if found is not None and found.code() in _FENCED:
            return Fenced(f"{self._id}: a newer worker owns this lane ({found.str()}).")
        if reason.code() in _FORBIDDEN:
            return Misconfigured(
                f"{self._id}: Kafka rejects its records, nothing was committed: {reason.str()}",
                "allow this user to write to the topic, and set the topic's max.message.bytes to at least 1000000",
            )
        return Fatal(
            f"{self._id}: the transaction failed: {reason.str()}",
            "the worker restarts and resumes after the last commit",
        )
