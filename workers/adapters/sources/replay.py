"""Feeds a file of events into an installation and waits until all of it has been processed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from schemas import codec
from workers.adapters.kafka.config import quiet_config
from workers.adapters.process import clock
from workers.adapters.sources.event_files import EventFile
from workers.core.errors import InvalidEvent, Unavailable
from workers.core.intake.file_order import within_order
from workers.core.partition.clock import PUNCTUATION
from workers.core.personalisation.processor import EVENTS
from workers.core.stream.dead_letters import dead_letter
from workers.core.stream.records import Record
from workers.settings import Settings

#: The clock advances by this much after the last event, so that all timers set by the file fire [s].
CLOSING_S = 2 * 86_400.0
_FLUSH_TIMEOUT_S = 60.0
_STAGE = "replay"
_POLL_S = 0.5


class Fed(msgspec.Struct):
    """The progress of the feeder."""

    events: int = 0
    rejected: int = 0
    last_event_s: float = 0.0


class Feeder:
    """Sends mapped events to customer.events, and finally the punctuation that advances the clock past all timers."""

    def __init__(self, settings: Settings, speed: float, *, by_event: bool = False) -> None:
        """`speed` 0 is as fast as possible, N is N times faster than real time.

        With `by_event` the time is that of the events, so that events with a later timestamp are rejected
        (core.intake.file_order).
        """
        self._settings = settings
        self._speed = speed
        self._by_event = by_event
        self._producer = Producer(
            {
                **quiet_config(settings),
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "linger.ms": 5,
                "compression.type": settings.compression,
                "queue.buffering.max.messages": 200_000,
            }
        )
        self._failed = ""
        self._topic = settings.topic(EVENTS)

    def feed(self, file: EventFile, fed: Fed) -> Iterator[Fed]:
        """Sends row by row; yields after each row, and while it waits for the next one, so that the caller can do other work."""
        began_s, first_event_s = clock.monotonic_s(), 0.0
        for row, mapped in within_order(file) if self._by_event else file:
            fed.rejected += mapped.rejected
            if (error := mapped.combined_error()) is not None:
                self._reject(file, row, error)
            for event in mapped.events:
                at_s = codec.decode_event(event.value).timestamp.timestamp()
                if self._speed:
                    first_event_s = first_event_s or at_s
                    due_s = began_s + (at_s - first_event_s) / self._speed
                    while (left_s := due_s - clock.monotonic_s()) > 0:
                        self._producer.poll(min(left_s, _POLL_S))
                        yield fed
                fed.last_event_s = max(fed.last_event_s, at_s)
                self._send(self._topic, event.key, event.value)
                fed.events += 1
            yield fed
        self.flush()

    def close_clock(self, until_s: float) -> None:
        """Sends one punctuation per partition: the clock of each lane may advance to `until_s`."""
        for partition in range(self._settings.partitions):
            header: dict[str, str | bytes | None] = {PUNCTUATION: str(until_s).encode()}
            self._producer.produce(self._topic, partition=partition, headers=header, on_delivery=self._delivered)
        self.flush()

    def flush(self) -> None:
        """Returns once everything is delivered. Raises Unavailable otherwise."""
        left = self._producer.flush(_FLUSH_TIMEOUT_S)
        if left or self._failed:
            raise Unavailable(f"{left} events were not delivered to Kafka {self._failed}".rstrip(), "is Kafka up?")

    def _send(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        while True:
            try:
                self._producer.produce(topic, key=key, value=value, on_delivery=self._delivered)
            except BufferError:
                self._producer.poll(0.1)
            else:
                self._producer.poll(0)
                return

    def _reject(self, file: EventFile, row: int, error: InvalidEvent) -> None:
        record = Record(
            topic=file.path.name, partition=0, offset=row, key=None, value=None, appended_at_s=clock.now_s()
        )
        letter = dead_letter(record, _STAGE, error, clock.utc_now(), complete=False)
        self._send(self._settings.topic(letter.topic), letter.key, letter.value)

    def _delivered(self, error: object, _message: object) -> None:
        if error is not None and not self._failed:
            self._failed = f"({error})"


def wait_applied(
    settings: Settings, group: str, topic: str, on_poll: Callable[[], None], silence_s: float = 120.0
) -> None:
    """Returns once `group` has applied every record of `topic`; calls `on_poll` in the meantime (progress, children).

    Raises Unavailable if there is no progress for `silence_s`.
    """
    consumer = Consumer({**quiet_config(settings), "group.id": settings.prefix + group, "enable.auto.commit": False})
    name = settings.topic(topic)
    partitions = [TopicPartition(name, partition) for partition in range(settings.partitions)]
    before: list[int] = []
    last_progress_s = clock.monotonic_s()
    try:
        while True:
            on_poll()
            ends = [consumer.get_watermark_offsets(partition, timeout=10.0)[1] for partition in partitions]
            applied = [max(found.offset, 0) for found in consumer.committed(partitions, timeout=10.0)]
            if applied == ends:
                return
            if applied != before:
                before, last_progress_s = applied, clock.monotonic_s()
            elif clock.monotonic_s() - last_progress_s > silence_s:
                raise Unavailable(f"{group} has made no progress for {silence_s:.0f} s.", "see its log")
    except KafkaException as error:
        raise Unavailable(f"Kafka does not answer: {error}", "is it up?") from error
    finally:
        consumer.close()
