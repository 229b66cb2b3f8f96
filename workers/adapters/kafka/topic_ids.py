"""Detects recreated topics by their IDs: Kafka gives each topic an ID, and a topic that is deleted and recreated a new one.

An offset is valid for one ID only: a lane stores both together, and reads a topic with a new ID from the beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from threading import Lock

from confluent_kafka.admin import AdminClient

from workers.adapters.kafka.preflight import ids_of
from workers.adapters.process import clock, failpoints

#: IDs are reused for other lanes for this long [s].
FRESH_S = 1.0


class SourceIds:
    """The IDs of some topics, for all lanes of a process. Callable from any thread; blocks during a request to the broker."""

    def __init__(self, client_config: Mapping[str, str | int], topics: Iterable[str]) -> None:
        """`topics` are names on the cluster. Connects on the first request."""
        self._config, self._topics = client_config, list(topics)
        self._admin: AdminClient | None = None
        self._lock = Lock()
        self._found: dict[str, str] = {}
        self._known: dict[str, str] = {}
        self._fetched_at_s = float("-inf")

    def current(self, age_s: float = FRESH_S) -> Mapping[str, str]:
        """Returns topic → ID for the topics that exist, at most `age_s` old. Raises Unavailable without a broker."""
        if not failpoints.checks_sources():
            return {}
        with self._lock:
            if clock.monotonic_s() - self._fetched_at_s >= age_s:
                self._admin = self._admin or AdminClient(dict(self._config))
                self._found = ids_of(self._admin, self._topics)
                self._known = {**self._found, **self._known}
                self._fetched_at_s = clock.monotonic_s()
            return self._found

    def recreated(self) -> list[str]:
        """Returns the topics recreated since this process first saw them. Raises as `current` does."""
        found = self.current()
        return [topic for topic, before in self._known.items() if is_another(before, found.get(topic, ""))]

    def accept(self) -> None:
        """Accepts the current ID of every topic as known."""
        with self._lock:
            self._known = dict(self._found)


def is_another(known: str, now: str) -> bool:
    """Returns whether two IDs belong to different topics; "" = not known.

    >>> is_another("a", "b"), is_another("a", "a"), is_another("", "b")
    (True, False, False)
    """
    return bool(known and now) and known != now
