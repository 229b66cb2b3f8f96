"""What the topics of an installation must look like, and how a cluster differs from it. Pure: no broker, no clock."""

from __future__ import annotations

from typing import Literal

import msgspec

from schemas.topics import CHANNELS, DAY_MS, TOPICS, message_topic, message_topics
from workers.settings import Settings

#: What may be altered under running workers: it decides which old records go, and how new ones are written.
SAFE = frozenset(
    {
        "cleanup.policy",
        "delete.retention.ms",
        "max.compaction.lag.ms",
        "message.timestamp.type",
        "min.insync.replicas",
        "retention.ms",
        "segment.ms",
    }
)
#: Source topics that nobody has created yet get this; afterwards they are their owners' business.
SOURCE_CONFIG = {"cleanup.policy": "delete", "retention.ms": str(7 * DAY_MS)}

State = Literal["ok", "missing", "drift"]


class WantedTopic(msgspec.Struct, frozen=True, kw_only=True):
    """One topic as it must be. `name` is that on the cluster, prefix included; `ours` is False for source topics."""

    name: str
    partitions: int
    replication: int
    config: dict[str, str]
    ours: bool = True


class FoundTopic(msgspec.Struct, frozen=True, kw_only=True):
    """One topic as the cluster has it. `replication` is the smallest of its partitions."""

    partitions: int
    replication: int
    config: dict[str, str]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as it must be, and why `apply` leaves it alone; `refused` is empty when it repairs it."""

    what: str
    refused: str = ""


class TopicRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the comparison; `alter` is what `apply` sets on the broker."""

    topic: WantedTopic
    state: State
    differences: tuple[Difference, ...] = ()
    alter: dict[str, str] = {}


def wanted(settings: Settings, channels: tuple[str, ...] = CHANNELS) -> list[WantedTopic]:
    """Every topic of the installation, the table's order: those of the table with one message topic a channel, then the
    source topics. Topics keyed by customer have `settings.partitions` partitions, the others one.

    With three copies or more a write needs all but one of them, so that one lost broker loses and stops nothing.
    """
    per_channel = {message_topic(channel) for channel in CHANNELS}
    durable = {"min.insync.replicas": str(settings.replication - 1)} if settings.replication >= 3 else {}
    table = [topic for topic in TOPICS if topic.name not in per_channel] + list(message_topics(channels))
    topics = [
        WantedTopic(
            name=settings.topic(topic.name),
            partitions=settings.partitions if topic.partitioning == "customer" else 1,
            replication=settings.replication,
            config=topic.broker_config() | durable,
        )
        for topic in table
    ]
    ours = {topic.name for topic in topics}
    sources = dict.fromkeys(
        settings.topic(name) for part in settings.source_topics.split(",") if (name := part.strip())
    )
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
    """How one topic differs. A source topic that exists is always `ok`: it belongs to others."""
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
        differences.append(Difference(what=what, refused="moving copies between brokers is the cluster's business"))
    for key, value in topic.config.items():
        current = found.config.get(key, "unknown")
        if _parts(key, current) == _parts(key, value):
            continue
        safe = key in SAFE
        refused = "" if safe else "a change under running workers is not safe"
        differences.append(Difference(what=f"{key} is {current}, not {value}", refused=refused))
        if safe:
            alter[key] = value
    return TopicRow(topic=topic, state="drift" if differences else "ok", differences=tuple(differences), alter=alter)


def _parts(key: str, value: str) -> frozenset[str]:
    return frozenset(value.replace(" ", "").split(",")) if key == "cleanup.policy" else frozenset({value})
