"""Creates and checks the installation's topics. Never deletes one, never changes a partition count."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import kafka.errors as kafka_errors
from kafka.admin import ConfigResource, KafkaAdminClient

from schemas.topics import CHANNELS
from workers.adapters.kafka.config import kafka_python_config
from workers.adapters.kafka.topic_plan import FoundTopic, TopicRow, WantedTopic, compare, wanted
from workers.adapters.process import clock
from workers.core.errors import Misconfigured, Unavailable
from workers.settings import Settings

__all__ = ["TopicRow", "WantedTopic", "apply", "show", "wanted"]

CONNECT_TIMEOUT_S = 8.0
#: Limit for one request, and for the wait for leaders: a real cluster takes a while for hundreds of partitions.
REQUEST_TIMEOUT_S = 30.0
#: Errors caused by the request itself, not by the state of the broker.
_OUR_FAULT = (
    kafka_errors.AuthorizationError,
    kafka_errors.InvalidConfigurationError,
    kafka_errors.InvalidPartitionsError,
    kafka_errors.InvalidReplicationFactorError,
    kafka_errors.InvalidTopicError,
    kafka_errors.PolicyViolationError,
    kafka_errors.SaslAuthenticationFailedError,
)


def show(settings: Settings, channels: tuple[str, ...] = CHANNELS) -> list[TopicRow]:
    """Compares the cluster with what the installation needs; changes nothing. Rows in the order of `wanted`.

    Raises Unavailable if no broker responds (within about 10 s), Misconfigured if one rejects us.
    """
    with _admin(settings) as admin:
        return _compare_all(admin, wanted(settings, channels))


def apply(settings: Settings, channels: tuple[str, ...] = CHANNELS) -> list[TopicRow]:
    """Creates missing topics, alters settings that are safe to alter, and waits until every new topic has leaders.

    Returns the rows as they were before. Safe to call again, and from many processes at once. Raises Misconfigured, before
    anything is changed, if something differs that only a person can repair (such as a partition count); Unavailable if no
    broker responds (within about 10 s) or new topics get no leaders (30 s).
    """
    topics = wanted(settings, channels)
    with _admin(settings) as admin:
        before = rows = _compare_all(admin, topics)
        _refuse(rows)
        if missing := [row.topic for row in rows if row.state == "missing"]:
            _create(admin, missing)
            rows = _compare_all(admin, topics)  # another process may have created some of them by now
            _refuse(rows)
        if drifted := [row for row in rows if row.alter]:
            _alter(admin, {row.topic.name: row.alter for row in drifted})
            _wait_until_altered(admin, [row.topic for row in drifted])
        return before


def _compare_all(admin: Any, topics: Sequence[WantedTopic]) -> list[TopicRow]:
    found: dict[str, FoundTopic] = {}
    metadata = {topic["name"]: topic for topic in admin.describe_topics([topic.name for topic in topics])}
    existing = [topic for topic in topics if _exists(metadata[topic.name])]
    resources = [ConfigResource("TOPIC", topic.name, list(topic.config)) for topic in existing]
    configs = admin.describe_configs(resources, config_filter="all").get("topic", {}) if resources else {}
    for topic in existing:
        partitions = metadata[topic.name]["partitions"]
        found[topic.name] = FoundTopic(
            partitions=len(partitions),
            replication=min((len(partition["replica_nodes"]) for partition in partitions), default=0),
            config={key: str(entry["value"]) for key, entry in configs.get(topic.name, {}).items()},
        )
    return [compare(topic, found.get(topic.name)) for topic in topics]


def _exists(metadata: Mapping[str, Any]) -> bool:
    code = metadata["error_code"]
    if code == kafka_errors.UnknownTopicOrPartitionError.errno:
        return False
    # A topic without a leader exists; its clients wait for one.
    if code not in (0, kafka_errors.LeaderNotAvailableError.errno):
        raise kafka_errors.for_code(code)(metadata["name"])
    return True


def _refuse(rows: Sequence[TopicRow]) -> None:
    topics: dict[str, list[str]] = {}  # by reason: one reason often applies to many topics
    for row in rows:
        for difference in row.differences:
            if difference.refused:
                topics.setdefault(f"{difference.what} ({difference.refused})", []).append(row.topic.name)
    if topics:
        reasons = "; ".join(f"{reason}: {', '.join(names)}" for reason, names in topics.items())
        what = f"Topics differ from the settings in properties that this command never changes. {reasons}."
        raise Misconfigured(
            what, "correct the settings, or use another prefix; a new partition count needs a migration"
        )


def _create(admin: Any, topics: Sequence[WantedTopic]) -> None:
    names = [topic.name for topic in topics]
    specification = {
        topic.name: {
            "num_partitions": topic.partitions,
            "replication_factor": topic.replication,
            "configs": topic.config,
        }
        for topic in topics
    }
    response = admin.create_topics(specification, timeout_ms=int(REQUEST_TIMEOUT_S * 1000), raise_errors=False)
    for topic in response["topics"]:
        error = kafka_errors.for_code(topic["error_code"])
        if error not in (kafka_errors.NoError, kafka_errors.TopicAlreadyExistsError):
            raise error(f"{topic['name']}: {topic.get('error_message') or 'no reason given'}")
    admin.wait_for_topics(names, timeout_ms=int(REQUEST_TIMEOUT_S * 1000))


def _wait_until_altered(admin: Any, topics: Sequence[WantedTopic]) -> None:
    """Waits until the brokers report the new settings: they receive them a moment after the controller has accepted them."""
    deadline_s = clock.monotonic_s() + REQUEST_TIMEOUT_S
    while any(row.alter for row in _compare_all(admin, topics)):
        if clock.monotonic_s() > deadline_s:
            raise kafka_errors.KafkaTimeoutError(f"altered settings did not take effect in {REQUEST_TIMEOUT_S:.0f} s")
        time.sleep(0.05)


def _alter(admin: Any, changes: Mapping[str, Mapping[str, str]]) -> None:
    resources = [ConfigResource("TOPIC", name, dict(config)) for name, config in changes.items()]
    response = admin.alter_configs(resources, raise_on_unknown=False)["topic"]
    if failed := [f"{name}: {result}" for name, result in response.items() if result != "OK"]:
        raise Misconfigured(
            f"Topic settings cannot be altered: {'; '.join(failed)}.", "grant AlterConfigs on the topics"
        )


@contextmanager
def _admin(settings: Settings) -> Iterator[Any]:
    """Opens an admin client, and translates kafka-python's errors into ours."""
    try:
        client = _connect(settings)
        try:
            yield client
        finally:
            client.close()
    except _OUR_FAULT as error:
        hint = "correct the settings, or grant the user Create, Describe, DescribeConfigs and AlterConfigs"
        raise Misconfigured(f"Kafka at {settings.brokers} rejects the request: {_line(error)}.", hint) from error
    except (kafka_errors.KafkaError, OSError) as error:
        login = "; are kafka_user, kafka_password and kafka_ca right?" if settings.kafka.ca else ""
        hint = f"is it up, and is ATTUNE_BROKERS its address?{login}"
        raise Unavailable(f"Kafka at {settings.brokers} does not answer: {_line(error)}.", hint) from error


def _connect(settings: Settings) -> Any:
    try:
        return KafkaAdminClient(
            **kafka_python_config(settings),
            client_id="attune-topics",
            bootstrap_timeout_ms=int(CONNECT_TIMEOUT_S * 1000),
            request_timeout_ms=int(REQUEST_TIMEOUT_S * 1000),
            reconnect_backoff_max_ms=500,
        )
    except ValueError as error:  # not a valid address
        raise Misconfigured(f"brokers = {settings.brokers!r}: {error}.", "host:port[,host:port]") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
