"""Reads the committed offsets of a consumer group without joining it.

Uses kafka-python, because librdkafka's admin client (2.16) crashes the process with signal 11 if a group's coordinator moves
or stops while it answers (librdkafka #5040): any broker restart could trigger it.
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
    """The offsets of one group, for use by one thread. Connects on the first `read`, and again after each failure."""

    def __init__(self, settings: Settings, group: str) -> None:
        self._settings, self._group = settings, group
        self._client: Any = None

    def read(self) -> dict[Place, int]:
        """Returns the next offset of every partition that the group has committed; {} if the group does not exist.

        Raises Misconfigured if this user lacks the permission, Unavailable if no coordinator answers (within about 10 s).
        """
        try:
            self._client = self._client or self._connect()
            found = self._client.list_group_offsets([self._group])[self._group]
        except kafka_errors.GroupIdNotFoundError:
            return {}
        except kafka_errors.AuthorizationError as error:
            self.close()
            what = f"this user may not see the group {self._group}: {type(error).__name__}."
            raise Misconfigured(what, "grant the user Describe on that group") from error
        except (kafka_errors.KafkaError, OSError) as error:
            self.close()  # the coordinator may have moved, and this client would keep calling the old one
            raise Unavailable(f"cannot read the offsets of group {self._group}: {error!r}.", "is Kafka up?") from error
        return {(tp.topic, tp.partition): next_.offset for tp, next_ in found.items() if next_.offset >= 0}

    def close(self) -> None:
        """Closes the connection, if there is one. `read` may be called again."""
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
