"""Lets simulated shoppers act in real time: their events go to the first source topic, as a shop would send them."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

import msgspec
from confluent_kafka import Producer

from schemas.catalogue import CatalogueProduct
from workers.adapters import clock
from workers.adapters.kafka_config import client_config
from workers.core.shoppers import Persona, behave
from workers.settings import Settings


class Simulator:
    """A context manager: inside the block the shoppers act, in a thread of their own."""

    def __init__(self, settings: Settings, people: list[Persona], products: dict[str, CatalogueProduct]) -> None:
        self.sent = 0
        self._settings = settings
        self._people = people
        self._products = products
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shoppers", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether the shoppers still act."""
        return not self._stop.is_set()

    def stop(self) -> None:
        """The shoppers go home; what they did is delivered. A second call has no effect."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        topic = self._settings.topic(self._settings.source_topics.split(",")[0].strip())
        producer = Producer({**client_config(self._settings), "enable.idempotence": True, "linger.ms": 5})
        encode = msgspec.json.Encoder().encode
        for at_s, event in behave(self._people, self._products, self._settings.seed, clock.now_s()):
            while (left_s := at_s - clock.now_s()) > 0 and not self._stop.is_set():
                producer.poll(0)
                self._stop.wait(min(left_s, 0.2))
            if self._stop.is_set():
                break
            producer.produce(topic, key=event.get("userId") or event["anonymousId"], value=encode(event))
            self.sent += 1
        producer.flush(10.0)
