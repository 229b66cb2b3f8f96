"""Finds proof that a lane has worked before: its group's offsets, or records in topics that it writes to.

An empty changelog proves nothing: the lane may be new, or its history may have been deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from workers.core.errors import Unavailable

_TIMEOUT_S = 30.0


def proof_of_past(
    client_config: Mapping[str, str | int],
    group: str,
    sources: Iterable[tuple[str, int]],
    left_in: Iterable[tuple[str, int]],
) -> str:
    """Describes the proof of a past; empty if there is none. Topics have their prefix. Raises Unavailable.

    The offsets of an idle group are kept for a week, and are deleted with their topic. A record that was ever written shows
    in its partition's end offset for as long as the topic exists, whatever retention deletes.
    """
    consumer = Consumer({**client_config, "group.id": group, "enable.auto.commit": False})
    try:
        for tp in consumer.committed([TopicPartition(*source) for source in sources], timeout=_TIMEOUT_S):
            if tp.error is None and tp.offset > 0:
                return f"group {group} has read {tp.topic}[{tp.partition}] up to {tp.offset}"
        for topic, partition in left_in:
            if consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_TIMEOUT_S)[1] > 0:
                return f"it has written to {topic}[{partition}]"
    except KafkaException as error:
        reason: KafkaError = error.args[0]
        raise Unavailable(f"cannot read the progress of group {group}: {reason.str()}", "is Kafka up?") from error
    finally:
        consumer.close()
    return ""
