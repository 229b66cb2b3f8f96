"""Simulates shoppers in real time: their events go to the first source topic, their responses to message.feedback.

Events have the format of a shop's events, responses that of senders' feedback.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count
from types import TracebackType
from typing import Self

import msgspec
from confluent_kafka import Producer

from schemas import codec
from schemas.messages import Feedback, Message
from schemas.topics import CHANNELS, message_topic
from workers.adapters.kafka.config import quiet_config
from workers.adapters.kafka.reader import TopicReader
from workers.adapters.process import clock
from workers.core.errors import AttuneError
from workers.core.simulation.responses import Answer, Carts, answer
from workers.core.simulation.shoppers import Crowd, Event, Planned, behave
from workers.core.stream.records import Record
from workers.settings import Settings

_MAX_WAIT_S = 0.05
#: Time after the shoppers have left in which they still place orders prompted by a message [s]; then the shop is closed.
LAST_ORDERS_S = 6.0


class Simulator:
    """A context manager: inside the block a thread simulates the shoppers until `stop`; they respond until the block ends.

    `number` shoppers are active at any time. `left_at_s` is the time at which they left [s since the epoch]; `sent` counts
    events and `read` counts messages.
    """

    def __init__(self, settings: Settings, crowd: Crowd, number: int) -> None:
        self.sent = 0
        self.read = 0
        self._settings = settings
        self._crowd = crowd
        self._number = number
        self._carts = Carts()
        self._answers: list[tuple[float, int, Answer]] = []
        self._order = count()
        self._stop, self._end = threading.Event(), threading.Event()
        self.left_at_s = float("inf")
        self._failure: AttuneError | None = None
        self._thread = threading.Thread(target=self._run, name="shoppers", daemon=True)
        self._shop = settings.topic(settings.source_topics[0])
        self._feedback = settings.topic("message.feedback")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._end.set()
        self._thread.join()

    @property
    def running(self) -> bool:
        """True while shoppers still act on their own. Raises the error that ended their thread, if any."""
        if self._failure is not None:
            raise self._failure
        return not self._stop.is_set()

    @property
    def waiting(self) -> int:
        """The number of pending responses to messages that were read."""
        return len(self._answers)

    def stop(self) -> None:
        """Makes the shoppers leave; they still respond to messages, and place orders for LAST_ORDERS_S. Idempotent."""
        if not self._stop.is_set():
            self.left_at_s = clock.now_s()
            self._stop.set()

    def _run(self) -> None:
        try:
            with TopicReader(self._settings, map(message_topic, CHANNELS)) as reader:
                self._act(reader)
        except AttuneError as error:
            self._failure = error

    def _act(self, reader: TopicReader) -> None:
        config = {**quiet_config(self._settings), "enable.idempotence": True, "linger.ms": 5}
        producer = Producer({**config, "partitioner": "murmur2_random"})
        visits = behave(self._crowd, self._number, clock.now_s())
        planned = next(visits)
        while not self._end.is_set():
            planned = self._visit(producer, visits, planned)
            while self._answers and self._answers[0][0] <= clock.now_s():
                self._publish(producer, heappop(self._answers)[2][1])
            producer.poll(0)
            for record in reader.poll(_MAX_WAIT_S):
                self._receive(record)
        producer.flush(10.0)

    def _visit(self, producer: Producer, visits: Iterator[Planned], planned: Planned) -> Planned:
        """Sends the shoppers' own actions that are due; returns the next one."""
        while not self._stop.is_set() and planned[0] <= clock.now_s():
            self._publish(producer, planned[1])
            planned = next(visits)
        return planned

    def _receive(self, record: Record) -> None:
        """Plans the responses to a message."""
        self.read += 1
        message = codec.decode(Message, record.value)
        persona = self._crowd.of(message.user_id)
        if persona is None:
            return
        now_s, product_id = clock.now_s(), message.product_id or ""
        product = self._crowd.products.get(product_id)
        cart_id = self._carts.of(message.user_id, product_id, f"cart-{message.message_id}")
        for one in answer(message, persona, product, cart_id, self._crowd.seed, now_s):
            heappush(self._answers, (now_s + one[0], next(self._order), one))

    def _publish(self, producer: Producer, action: Feedback | Event) -> None:
        """Publishes an action to its topic, keyed by the customer."""
        if isinstance(action, Feedback):
            producer.produce(self._feedback, key=action.user_id, value=codec.encode(action))
        elif clock.now_s() < self.left_at_s + LAST_ORDERS_S and self._carts.happens(action):
            producer.produce(self._shop, key=action.get("userId") or action["anonymousId"], value=_encode(action))
            self.sent += 1


_encode = msgspec.json.Encoder().encode
