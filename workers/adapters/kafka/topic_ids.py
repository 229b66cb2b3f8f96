"""Tells which topic a name stands for: Kafka gives each topic an ID, and one that is deleted and recreated gets a new ID.

An offset means something for one id only: a lane keeps both together, and begins at the beginning of a topic that is new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from threading import Lock

from confluent_kafka.admin import AdminClient

from workers.adapters.kafka.preflight import ids_of
from workers.adapters.process import clock, failpoints

#: So long an answer is good for the next lane that asks [s].
_FRESH_S = 1.0


class SourceIds:
    """The ids of some topics, for all lanes of a process. May be asked from any thread; blocks while the broker is asked."""

    def __init__(self, client_config: Mapping[str, str | int], topics: Iterable[str]) -> None:
        """`topics` as the cluster has them. Connects at the first question."""
        self._config, self._topics = client_config, list(topics)
        self._admin: AdminClient | None = None
        self._lock = Lock()
        self._found: dict[str, str] = {}
        self._first: dict[str, str] = {}
        self._asked_s = float("-inf")

    def current(self, age_s: float = _FRESH_S) -> Mapping[str, str]:
        """Topic → id, without the topics that there are not; the answer is at most `age_s` old. Raises Unavailable without a
        broker.
        """
        if not failpoints.minds_sources():
            return {}
        with self._lock:
            if clock.monotonic_s() - self._asked_s >= age_s:
                self._admin = self._admin or AdminClient(dict(self._config))
                self._found = ids_of(self._admin, self._topics)
                self._first = {**self._found, **self._first}
                self._asked_s = clock.monotonic_s()
            return self._found

    def remade(self) -> list[str]:
        """The topics that are others than when this process first saw them. Raises as `current` does."""
        found = self.current()
        return [topic for topic, known in self._first.items() if is_another(known, found.get(topic, ""))]

    def accept(self) -> None:
        """Takes every topic for known as it is now."""
        with self._lock:
            self._first = dict(self._found)


def is_another(known: str, now: str) -> bool:
    """Returns whether two ids are of different topics; "" = not known.

    >>> is_another("a", "b"), is_another("a", "a"), is_another("", "b")
    (True, False, False)
    """
    return bool(known and now) and known != now
