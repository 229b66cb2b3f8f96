"""Publishes delivery results to message.feedback."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, Producer

from schemas.messages import Feedback, FeedbackStatus, Message
from workers.delivery.ledger import Ledger

_FLUSH_TIMEOUT_S = 10.0
_BATCH_SIZE = 500


def feedback(message: Message, status: FeedbackStatus, at: datetime, **details: Any) -> Feedback:
    """Returns one record of message.feedback. `event_id` is derived from message and status, so duplicates can be recognised."""
    return Feedback(
        event_id=hashlib.sha256(f"{len(message.message_id)}:{message.message_id}{status}".encode()).hexdigest()[:32],
        message_id=message.message_id,
        user_id=message.user_id,
        channel=message.channel,
        status=status,
        timestamp=at,
        **details,
    )


class FeedbackPublisher:
    """Publishes the ledger's outbox to message.feedback, at least once; each record keeps its `event_id`."""

    def __init__(self, kafka: Mapping[str, str | int], topic: str, ledger: Ledger) -> None:
        # murmur2 as in Java's clients: a customer's feedback must go to the same partition number as the customer's events.
        config = {**kafka, "enable.idempotence": True, "partitioner": "murmur2_random", "linger.ms": 0}
        self._producer = Producer(config)
        self._topic = topic
        self._ledger = ledger

    def publish(self, lanes: Collection[str]) -> None:
        """Publishes the outbox of these lanes. Records that Kafka does not confirm in time stay there for the next call."""
        delivered: list[str] = []

        def confirm(event_id: str, error: KafkaError | None, _record: object) -> None:
            if error is None:
                delivered.append(event_id)

        for event_id, user_id, record in self._ledger.unpublished(lanes, _BATCH_SIZE):
            self._producer.produce(
                self._topic, key=user_id.encode(), value=record, on_delivery=partial(confirm, event_id)
            )
        self._producer.flush(_FLUSH_TIMEOUT_S)
        if delivered:
            self._ledger.published(delivered)
