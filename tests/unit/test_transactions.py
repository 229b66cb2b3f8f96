"""What a lane's producer makes of the errors of the Kafka client."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from workers.adapters.lanes.transactions import LaneProducer
from workers.core.errors import Fatal, Fenced
from workers.core.stream.records import Output


class Interrupted:
    """A client that is fenced while it delivers: it calls a callback with its exception already set."""

    def __init__(self, cause: BaseException) -> None:
        self._cause = cause

    def begin_transaction(self) -> None:
        """Begins."""

    def produce(self, topic: str, **_: object) -> None:
        """Takes a record."""

    def flush(self, *_: object) -> None:
        raise SystemError("<method 'offset'> returned a result with an exception set") from self._cause

    def abort_transaction(self, *_: object) -> None:
        """Aborts."""


@pytest.mark.parametrize(
    ("cause", "error"),
    [
        (KafkaException(KafkaError(KafkaError._FENCED)), Fenced),
        (KafkaException(KafkaError(KafkaError._TRANSPORT)), Fatal),
        (ValueError("a fault of ours"), SystemError),
    ],
)
def test_an_error_that_was_set_during_a_callback_is_told_as_what_it_is(
    cause: BaseException, error: type[BaseException]
) -> None:
    producer = LaneProducer({"bootstrap.servers": "127.0.0.1:1"}, "t-lane", 1.0, "none")
    producer._producer = Interrupted(cause)  # type: ignore[assignment] # as much of it as a commit uses
    with pytest.raises(error) as raised:
        producer.commit([Output("t", b"k", b"v")], prefix="", partition=0)
    assert type(raised.value) is error
