"""Reads single values of the lanes' states from the changelog: committed values only, without a consumer group.

The changelog is exact but has no index, so it is searched backwards from its end. Recent changes, which are what people
usually look for, are found at once.
"""

from __future__ import annotations

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from workers.adapters.kafka.config import quiet_config
from workers.adapters.kafka.partitioner import partition_of
from workers.adapters.process import clock
from workers.core.errors import Unavailable
from workers.core.partition import keys
from workers.core.personalisation.pending import decode_counts
from workers.core.profile import model as profiles
from workers.core.profile.model import Profile
from workers.settings import Settings

CHANGELOG = "personalise-state"
#: Number of records that the first search reads; each further search reads four times as many.
_FIRST_RECORDS = 5_000
_SILENCE_S = 30.0


class LaneStates:
    """The states of the lanes of `personalise`; a context manager. Raises Unavailable if they cannot be read."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.topic(CHANGELOG)
        self._partitions = settings.partitions
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

    def __enter__(self) -> LaneStates:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def profile(self, customer_id: str) -> Profile | None:
        """Returns a customer's hot record as of the newest commit; None if there is none."""
        lane = partition_of(customer_id.encode(), self._partitions)
        value = self._newest(lane, keys.profile_key(customer_id))
        return profiles.decode(value) if value is not None else None

    def pending(self) -> dict[str, int]:
        """Returns the number of waiting items over all lanes, by reason; empty if no lane has counted yet."""
        total: dict[str, int] = {}
        for lane in range(self._partitions):
            value = self._newest(lane, keys.PENDING)
            for reason, number in (decode_counts(value) if value is not None else {}).items():
                total[reason] = total.get(reason, 0) + number
        return total

    def _newest(self, lane: int, key: bytes) -> bytes | None:
        """Returns the newest committed value of a key; None if it was never written, or was erased."""
        try:
            first, end = self._consumer.get_watermark_offsets(TopicPartition(self._topic, lane), timeout=_SILENCE_S)
            size = _FIRST_RECORDS
            while end > first:
                begin = max(first, end - size)
                if found := self._last(lane, key, begin, end):
                    return found[0]
                end, size = begin, size * 4
        except KafkaException as error:
            raise Unavailable(
                f"{self._topic}[{lane}] cannot be read: {error}", "is Kafka up, and may this user read it?"
            ) from error
        return None

    def _last(self, lane: int, key: bytes, begin: int, end: int) -> tuple[bytes | None] | None:
        """Returns (the last value of a key,) between two offsets; None if the key is not there."""
        found: tuple[bytes | None] | None = None
        self._consumer.assign([TopicPartition(self._topic, lane, begin)])
        last_record_s = clock.monotonic_s()
        while True:
            messages = self._consumer.consume(2_000, 0.2)
            for message in messages:
                last_record_s = clock.monotonic_s()
                error = message.error()
                if error is not None and error.code() == KafkaError._PARTITION_EOF:  # the library's name for it
                    return found
                if error is not None:
                    raise KafkaException(error)
                if (message.offset() or 0) >= end:
                    return found
                if message.key() == key:
                    found = (message.value(),)
            if clock.monotonic_s() - last_record_s > _SILENCE_S:
                raise Unavailable(f"{self._topic}[{lane}] cannot be read to its end.", "is Kafka up?")
