"""Compares the topics that an installation needs with those of a cluster. Pure: no broker, no clock."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar, Literal

import msgspec

from schemas.topics import CHANNELS, DAY_MS, TOPICS, message_topic, message_topics
from workers.settings import Settings

#: Settings that may be altered while workers run: they only affect which old records are deleted and how new ones are written.
SAFE = frozenset(
    {
        "cleanup.policy",
        "compression.type",
        "delete.retention.ms",
        "max.compaction.lag.ms",
        "message.timestamp.type",
        "min.insync.replicas",
        "retention.ms",
        "segment.ms",
    }
)
#: Configuration with which missing source topics are created; afterwards their owners manage them.
SOURCE_CONFIG = {"cleanup.policy": "delete", "retention.ms": str(7 * DAY_MS)}

#: The largest batch that our producers send (librdkafka's default for both, before compression) [bytes].
LARGEST_BATCH_BYTES = 1_000_000

State = Literal["ok", "missing", "drift"]


class WantedTopic(msgspec.Struct, frozen=True, kw_only=True):
    """One topic as required. `name` is the name on the cluster, with prefix; `ours` is False for source topics."""

    name: str
    partitions: int
    replication: int
    config: dict[str, str]
    ours: bool = True


class FoundTopic(msgspec.Struct, frozen=True, kw_only=True):
    """One topic as found on the cluster. `replication` is the smallest of its partitions."""

    partitions: int
    replication: int
    config: dict[str, str]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One difference, and the reason why `apply` does not repair it; `refused` is empty if it does."""

    what: str
    refused: str = ""


class TopicRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the comparison; `alter` is what `apply` sets on the broker."""

    topic: WantedTopic
    state: State
    differences: tuple[Difference, ...] = ()
    alter: dict[str, str] = {}


def wanted(settings: Settings, channels: tuple[str, ...] = CHANNELS) -> list[WantedTopic]:
    """Returns every topic of the installation: those of the table with one message topic per channel, then source topics.

    Topics keyed by customer have `settings.partitions` partitions, the others one. With three or more replicas a write needs
    all but one of them, so that the loss of one broker loses no data and stops nothing.
    """
    per_channel = {message_topic(channel) for channel in CHANNELS}
    durable = {"min.insync.replicas": str(settings.replication - 1)} if settings.replication >= 3 else {}
    table = [topic for topic in TOPICS if topic.name not in per_channel] + list(message_topics(channels))
    topics = [
        WantedTopic(
            name=settings.topic(topic.name),
            partitions=settings.partitions if topic.partitioning == "customer" else 1,
            replication=settings.replication,
            config=topic.broker_config(settings.topic_compression) | durable,
        )
        for topic in table
    ]
    ours = {topic.name for topic in topics}
    sources = dict.fromkeys(map(settings.topic, settings.source_topics))
    return topics + [
        WantedTopic(
            name=name,
            partitions=settings.partitions,
            replication=settings.replication,
            config=SOURCE_CONFIG | durable,
            ours=False,
        )
        for name in sources
        if name not in ours
    ]


def compare(topic: WantedTopic, found: FoundTopic | None) -> TopicRow:
    """Returns the differences of one topic. A source topic that exists is always `ok`: it belongs to others."""
    if found is None:
        return TopicRow(topic=topic, state="missing")
    if not topic.ours:
        return TopicRow(topic=topic, state="ok")
    differences, alter = [], {}
    if found.partitions != topic.partitions:
        why = "another count would send customers to other partitions" if topic.partitions > 1 else "it never shrinks"
        differences.append(Difference(what=f"{found.partitions} partitions, not {topic.partitions}", refused=why))
    if found.replication < topic.replication:
        what = f"{found.replication} copies, not {topic.replication}"
        differences.append(
            Difference(what=what, refused="moving copies between brokers is up to the cluster's operators")
        )
    for key, value in topic.config.items():
        current = found.config.get(key, "unknown")
        if _parts(key, current) == _parts(key, value):
            continue
        safe = key in SAFE
        refused = "" if safe else "changing it while workers run is not safe"
        differences.append(Difference(what=f"{key} is {current}, not {value}", refused=refused))
        if safe:
            alter[key] = value
    return TopicRow(topic=topic, state="drift" if differences else "ok", differences=tuple(differences), alter=alter)


def _parts(key: str, value: str) -> frozenset[str]:
    return frozenset(value.replace(" ", "").split(",")) if key == "cleanup.policy" else frozenset({value})


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The brokers' limits that this user may see: `largest`, the maximum batch size of each topic [bytes], and `brokers`, the
    broker settings.
    """

    BROKER: ClassVar = ("transaction.max.timeout.ms", "group.min.session.timeout.ms", "group.max.session.timeout.ms")

    largest: dict[str, int] = {}
    brokers: dict[str, int] = {}


def mismatches(
    settings: Settings, counts: Mapping[str, int | None], combined: Collection[str], limits: Limits
) -> list[str]:
    """Returns the reasons why a role cannot work on this cluster, one line each; empty if it can.

    `counts` are the partition counts of the topics that it needs (names without prefix); None: the topic does not exist. Lanes
    combine the topics in `combined`: like all others of the table they must have the installation's partition count.
    """
    single = {topic.name for topic in TOPICS if topic.partitioning == "single"}
    ours = {topic.name for topic in TOPICS} | set(combined)
    problems = []
    for name, found in counts.items():
        expected = 1 if name in single else settings.partitions
        if found is None:
            problems.append(f"there is no topic {settings.topic(name)}")
        elif name in ours and found != expected:
            problems.append(f"{settings.topic(name)} has {found} partitions, expected {expected}")
    for topic, largest in limits.largest.items():
        if largest < LARGEST_BATCH_BYTES:
            problems.append(f"{topic} has max.message.bytes = {largest}, at least {LARGEST_BATCH_BYTES} is required")
    transaction_ms, session_ms = settings.transaction_timeout_s * 1000, settings.session_timeout_s * 1000
    longest, shortest_session, longest_session = (limits.brokers.get(name) for name in Limits.BROKER)
    if longest is not None and transaction_ms > longest:
        problems.append(
            f"transaction_timeout_s = {settings.transaction_timeout_s:g} is more than the brokers allow "
            f"(transaction.max.timeout.ms = {longest}): decrease the former or increase the latter"
        )
    if not (shortest_session or 0) <= session_ms <= (longest_session or session_ms):
        problems.append(
            f"session_timeout_s = {settings.session_timeout_s:g} is outside the brokers' limits (group.min.session.timeout.ms"
            f" = {shortest_session}, group.max.session.timeout.ms = {longest_session})"
        )
    return problems
