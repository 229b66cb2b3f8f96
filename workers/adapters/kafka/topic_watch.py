"""Detects topics that were deleted or recreated.

A reader's own errors do not show this: a starting broker briefly does not know its topics either, and a recreated topic may
have offsets like the old one.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._topic import TopicDescription  # where the library defines it

from workers.adapters.kafka.config import quiet_config
from workers.adapters.kafka.preflight import topic_id
from workers.adapters.process import clock, failpoints
from workers.core.errors import Misconfigured
from workers.settings import Settings

#: Interval between requests, and the timeout of one [s].
_CHECK_INTERVAL_S, _REQUEST_TIMEOUT_S = 2.0, 10.0
#: Errors for a topic that does not exist, or that this user may not see.
_MISSING = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.UNKNOWN_TOPIC_ID,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
}


class TopicWatch:
    """Checks topics (logical names) from time to time, and never waits for a response."""

    def __init__(self, settings: Settings, topics: Iterable[str], limit_s: float) -> None:
        """Records the IDs of the topics. Raises Misconfigured for a missing one, Unavailable without a broker."""
        config = quiet_config(settings)
        self._limit_s = limit_s
        self._ids = {topic: topic_id(config, topic) for topic in map(settings.topic, topics)}
        self._admin = AdminClient(dict(config))
        self._pending: dict[str, Future[TopicDescription]] = {}
        self._requested_at_s = clock.monotonic_s()
        self._missing_since_s: dict[str, float] = {}

    def recreated(self) -> list[str]:
        """Returns the topics that were deleted and recreated since the last call.

        Raises Misconfigured if one has been missing for longer than the limit. The silence of a broker does not count as a
        missing topic.
        """
        now_s = clock.monotonic_s()
        if failpoints.watches_topics() and not self._pending and now_s - self._requested_at_s >= _CHECK_INTERVAL_S:
            self._requested_at_s = now_s
            self._pending = self._admin.describe_topics(
                TopicCollection(list(self._ids)), request_timeout=_REQUEST_TIMEOUT_S
            )
        completed = [topic for topic, future in self._pending.items() if future.done()]
        return [topic for topic in completed if self._is_recreated(topic, self._pending.pop(topic), now_s)]

    def _is_recreated(self, topic: str, response: Future[TopicDescription], now_s: float) -> bool:
        try:
            identity = str(response.result().topic_id)
        except KafkaException as error:
            if error.args[0].code() in _MISSING:
                missing_s = now_s - self._missing_since_s.setdefault(topic, now_s)
                if missing_s >= self._limit_s:
                    raise Misconfigured(
                        f"there is no topic {topic} any more (missing for {missing_s:.0f} s).",
                        "`attune topics apply` creates it; may this user still see it?",
                    ) from error
            return False
        self._missing_since_s.pop(topic, None)
        before, self._ids[topic] = self._ids[topic], identity
        return before != identity
