"""Reads the committed offsets of a consumer group without joining it.

By kafka-python, because librdkafka's admin client (2.16) ends the process with signal 11 when a group's coordinator moves or
stops while it answers (librdkafka #5040): every restart of a broker would do.
"""

from __future__ import annotations

from typing import Any

import kafka.errors as kafka_errors
from kafka.admin import KafkaAdminClient

from workers.adapters.kafka.config import kafka_python_config
from workers.core.errors import Misconfigured, Unavailable
from workers.settings import Settings

#: (topic on the cluster, partition)
Place = tuple[str, int]
_TIMEOUT_S = 10.0


class GroupOffsets:
    """One group, for one thread. It connects at the first question, and anew after each that failed."""

    def __init__(self, settings: Settings, group: str) -> None:
        self._settings, self._group = settings, group
        self._client: Any = None

    def read(self) -> dict[Place, int]:
        """The next offset of every partition that the group has committed; {} = there is no such group.

        Raises Misconfigured when this user may not know, Unavailable when no coordinator answers (within about 10 s).
        """
        try:
            self._client = self._client or self._connect()
            found = self._client.list_group_offsets([self._group])[self._group]
        except kafka_errors.GroupIdNotFoundError:
            return {}
        except kafka_errors.AuthorizationError as error:
            self.close()
            what = f"this user may not see the group {self._group}: {type(error).__name__}."
            raise Misconfigured(what, "grant it Describe of that group") from error
        except (kafka_errors.KafkaError, OSError) as error:
            self.close()  # the coordinator may have moved, and this client would go on asking the old one
            raise Unavailable(f"the group {self._group} cannot be asked: {error!r}.", "is the broker up?") from error
        return {(tp.topic, tp.partition): one.offset for tp, one in found.items() if one.offset >= 0}

    def close(self) -> None:
        """Ends the connection, if there is one. `read` may be called again."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _connect(self) -> Any:
        return KafkaAdminClient(
            **kafka_python_config(self._settings),
            client_id=f"{self._group}-watch",
            bootstrap_timeout_ms=int(_TIMEOUT_S * 1000),
            request_timeout_ms=int(_TIMEOUT_S * 1000),
            reconnect_backoff_max_ms=1000,
        )
