"""Checks the brokers before a worker starts: its topics must exist and match, and it must be allowed to write.

Problems are reported at the start, with their remedy, not as an obscure error in the middle of a batch. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource  # where the library defines them
from confluent_kafka.admin._topic import TopicDescription

from schemas.topics import TOPICS, Topic
from workers.adapters.kafka.topic_plan import Limits, mismatches
from workers.core.errors import Misconfigured, Unavailable
from workers.settings import Settings

_TIMEOUT_S = 10.0
_MISSING = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.UNKNOWN_TOPIC_ID}
_REFUSED = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED}


def topic_id(client_config: Mapping[str, str | int], topic: str) -> str:
    """Returns the ID that the broker gave a topic at its creation. Raises Misconfigured if the topic is missing; Unavailable."""
    found = _describe(AdminClient(dict(client_config)), [topic])
    if topic not in found:
        raise Misconfigured(f"there is no topic {topic}.", "`attune topics apply` creates it; was it deleted?")
    return str(found[topic].topic_id)


def ids_of(admin: AdminClient, topics: list[str]) -> dict[str, str]:
    """Returns the IDs of those topics that exist. Raises Misconfigured if this user may not see one of them; Unavailable."""
    return {topic: str(about.topic_id) for topic, about in _describe(admin, topics).items()}


def partitions_of(admin: AdminClient, topics: list[str]) -> dict[str, list[int]]:
    """Returns the partitions of those topics that exist. Raises as `ids_of` does."""
    return {topic: [part.id for part in about.partitions] for topic, about in _describe(admin, topics).items()}


def check_broker(
    settings: Settings,
    client_config: Mapping[str, str | int],
    role: str,
    sources: Sequence[str],
    changelog: str | None,
) -> None:
    """Checks that a role can work on this cluster; topic names are without the prefix.

    Raises Misconfigured listing every problem, with the expected and the actual value: a missing topic, a partition count, a
    broker limit below what this role needs. Raises Unavailable if no broker responds.
    """
    admin = AdminClient(dict(client_config))
    combined = {*sources, changelog} if changelog is not None else set()  # without state a source may have any count
    outputs = {topic.name for topic in TOPICS if role in topic.writers and not _is_channel_topic(topic)}
    wanted = {settings.topic(name): name for name in (*sources, changelog, *sorted(outputs)) if name is not None}
    found = _describe(admin, list(wanted))
    counts = {name: len(found[topic].partitions) if topic in found else None for topic, name in wanted.items()}
    written = [topic for topic, name in wanted.items() if topic in found and (name in outputs or name == changelog)]
    problems = mismatches(settings, counts, combined, _limits(admin, written))
    if problems:
        raise Misconfigured(
            f"Kafka at {settings.brokers} does not meet the needs of {role}: {'; '.join(problems)}.",
            "`attune topics show` compares all topics, `attune topics apply` creates missing ones; Kafka also reports topics "
            "as missing that this user may not see",
        )


def _is_channel_topic(topic: Topic) -> bool:
    """Returns whether this is the topic of a channel: the playbook decides which channels exist."""
    return topic.name.startswith("messages.")


def _describe(admin: AdminClient, topics: list[str]) -> dict[str, TopicDescription]:
    """Returns the topics that exist."""
    found: dict[str, TopicDescription] = {}
    for topic, future in admin.describe_topics(TopicCollection(topics), request_timeout=_TIMEOUT_S).items():
        try:
            found[topic] = future.result()
        except KafkaException as error:
            reason: KafkaError = error.args[0]
            if reason.code() in _REFUSED:
                raise Misconfigured(
                    f"this user may not see {topic}: {reason.str()}", "grant the user Describe on the topic"
                ) from error
            if reason.code() not in _MISSING:
                raise Unavailable(f"cannot describe topic {topic}: {reason.str()}", "is Kafka up?") from error
    return found


def _limits(admin: AdminClient, topics: Iterable[str]) -> Limits:
    """Returns the brokers' limits. Those that this user may not see are not checked here, and only show in use."""
    broker = next(iter(admin.list_topics(timeout=_TIMEOUT_S).brokers), 1)
    resources = [ConfigResource(ConfigResource.Type.BROKER, str(broker))]
    resources += [ConfigResource(ConfigResource.Type.TOPIC, topic) for topic in topics]
    largest: dict[str, int] = {}
    brokers: dict[str, int] = {}
    for resource, future in admin.describe_configs(resources, request_timeout=_TIMEOUT_S).items():
        try:
            values = {name: entry.value for name, entry in future.result().items()}
        except KafkaException:  # no DescribeConfigs: many clusters do not grant it
            continue
        if resource.restype == ConfigResource.Type.TOPIC:
            largest[resource.name] = int(values["max.message.bytes"])
        else:
            brokers = {name: int(values[name]) for name in Limits.BROKER if values.get(name)}
    return Limits(largest=largest, brokers=brokers)
