"""Defines the table of topics that the topic tool, the workers, the documentation and the AsyncAPI document use.

Customer-keyed topics share the partition count and the murmur2 partitioner, so that input, state and output of one customer are
in the same partition. Record timestamps are append times; the time of an event is in its value.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from schemas import catalogue, control, dialogue, events, learning, messages, profiles

DAY_MS = 86_400_000

Partitioning = Literal["customer", "single"]
#: The only codec that every client supports by default: kafkajs has no other, and Python's clients need packages for the rest.
DEFAULT_COMPRESSION = "gzip"


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table. `retention_ms` is None with cleanup `compact`; `struct` None = internal bytes (msgpack state).

    `writers` and `readers` are roles and tools; a test fails if a worker opens a topic without being listed here. `busy`: only
    workers read it, at a high rate, so it keeps the codec that they write.
    """

    name: str
    key: str
    struct: object | None
    cleanup: Literal["delete", "compact", "compact,delete"]
    retention_ms: int | None = None
    partitioning: Partitioning = "customer"
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    summary: str
    busy: bool = False
    config: dict[str, str] = {}

    def broker_config(self, codec: str = DEFAULT_COMPRESSION) -> dict[str, str]:
        """Returns the settings that the topic tool sets and checks on the broker. `codec`: `compression.type` of topics that
        external programs read.
        """
        config = {"cleanup.policy": self.cleanup, "message.timestamp.type": "LogAppendTime"}
        if not self.busy:
            config["compression.type"] = codec
        if self.retention_ms is not None:
            config["retention.ms"] = str(self.retention_ms)
        return config | self.config


CUSTOMER = "userId, otherwise anonymousId"
#: A compacted topic deletes overwritten records within a day, and keeps a tombstone for a week, the longest absence of a worker.
COMPACTION = {"max.compaction.lag.ms": str(DAY_MS), "segment.ms": str(DAY_MS), "delete.retention.ms": str(7 * DAY_MS)}
#: The default of the setting `source_topics`, to which shops and apps send; it is not in the table because it belongs to them.
SOURCE = "shop.events"
#: The channels of the first playbook. Channels are data: the topic tool creates a topic for each channel of the playbook.
CHANNELS = ("email", "push", "sms", "in_app")


def message_topic(channel: str) -> str:
    """Returns the topic that a channel's sender consumes."""
    return f"messages.{channel}"


def message_topics(channels: tuple[str, ...] = CHANNELS) -> tuple[Topic, ...]:
    """Returns one row per channel."""
    return tuple(
        Topic(
            name=message_topic(channel),
            key="userId",
            struct=messages.Message,
            cleanup="delete",
            retention_ms=7 * DAY_MS,
            writers=("personalise",),
            readers=("sender", "deliver"),
            summary=f"Finished messages for the {channel} sender.",
        )
        for channel in channels
    )


TOPICS: tuple[Topic, ...] = (
    Topic(
        name="customer.events",
        key=CUSTOMER,
        struct=events.AnyEvent,
        cleanup="delete",
        retention_ms=7 * DAY_MS,
        writers=("intake",),
        readers=("personalise", "learn", "understand"),
        summary="Customer events, mapped to the Segment spec, validated and re-keyed.",
        busy=True,
    ),
    Topic(
        name="customer.merges",
        key="the receiver's userId or anonymousId",
        struct=profiles.ProfileMerge,
        cleanup="delete",
        retention_ms=28 * DAY_MS,
        writers=("personalise",),
        readers=("personalise",),
        summary="Reserved: not written or read yet. Profiles on the way to the partition of their customer.",
        busy=True,
    ),
    Topic(
        name="customer.profiles",
        key=CUSTOMER,
        struct=profiles.ProfileView,
        cleanup="compact",
        writers=("personalise",),
        readers=("converse", "outside"),
        summary="The public view of every customer; at most one per minute, at once if group or consent changes.",
        config=COMPACTION,
    ),
    Topic(
        name="customer.insights",
        key="userId",
        struct=profiles.Insight,
        cleanup="delete",
        retention_ms=7 * DAY_MS,
        writers=("understand", "converse"),
        readers=("personalise",),
        summary="Reserved: not written or read yet. Information about customers from text and dialogue.",
    ),
    Topic(
        name="catalogue.products",
        key="product_id",
        struct=catalogue.CatalogueProduct,
        cleanup="compact",
        partitioning="single",
        writers=("import", "outside"),
        readers=("personalise", "generate", "converse"),
        summary="Reserved: not written or read yet. Products, and the claims that copy may make about them.",
        config=COMPACTION,
    ),
    Topic(
        name="message.decisions",
        key="userId",
        struct=messages.Decision,
        cleanup="delete",
        retention_ms=28 * DAY_MS,
        writers=("personalise",),
        readers=("learn",),
        summary="The ledger: one record per trigger occurrence, sent or not, with its reason.",
    ),
    Topic(
        name="message.requests",
        key="userId",
        struct=messages.MessageRequest,
        cleanup="delete",
        retention_ms=2 * DAY_MS,
        writers=("personalise",),
        readers=("generate",),
        summary="Requests for texts.",
        busy=True,
    ),
    Topic(
        name="message.candidates",
        key="userId",
        struct=messages.Candidate,
        cleanup="delete",
        retention_ms=2 * DAY_MS,
        writers=("generate",),
        readers=("personalise",),
        summary="Generated texts, not published yet.",
        busy=True,
    ),
    Topic(
        name="message.reviews",
        key="userId",
        struct=messages.Review,
        cleanup="delete",
        retention_ms=28 * DAY_MS,
        writers=("personalise",),
        readers=(),
        summary="Texts that a person must review first.",
    ),
    Topic(
        name="message.verdicts",
        key="userId",
        struct=messages.ReviewVerdict,
        cleanup="delete",
        retention_ms=28 * DAY_MS,
        writers=("console",),
        readers=("personalise", "learn"),
        summary="Reviewers' verdicts.",
    ),
    Topic(
        name="message.outcomes",
        key="userId",
        struct=messages.Outcome,
        cleanup="delete",
        retention_ms=28 * DAY_MS,
        writers=("personalise",),
        readers=("learn",),
        summary="How each request ended; exactly one per request.",
    ),
    *message_topics(),
    Topic(
        name="message.cancellations",
        key="userId",
        struct=messages.Cancellation,
        cleanup="delete",
        retention_ms=7 * DAY_MS,
        writers=("personalise",),
        readers=("sender", "deliver"),
        summary="Published messages that must not be sent.",
    ),
    Topic(
        name="message.feedback",
        key="userId",
        struct=messages.Feedback,
        cleanup="delete",
        retention_ms=28 * DAY_MS,
        writers=("sender", "deliver", "console", "personalise"),
        readers=("personalise", "learn"),
        summary="What happened to each message; `personalise` forwards records in the wrong partition.",
    ),
    Topic(
        name="feedback.metrics",
        key="campaign, channel, arm, target group, window, partition",
        struct=learning.FeedbackMetrics,
        cleanup="compact,delete",
        retention_ms=400 * DAY_MS,
        partitioning="single",
        writers=("learn",),
        readers=("outside",),
        summary="Counts, rates, revenue and uplift per campaign, arm, target group, window and partition.",
    ),
    Topic(
        name="policy.snapshots",
        key="campaign, partition",
        struct=learning.PolicySnapshot,
        cleanup="compact",
        partitioning="single",
        writers=("learn",),
        readers=("personalise",),
        summary="Rewards of each arm; readers sum the partitions.",
        config=COMPACTION,
    ),
    Topic(
        name="dialogue.messages",
        key="userId",
        struct=dialogue.DialogueMessage,
        cleanup="delete",
        retention_ms=28 * DAY_MS,
        writers=("outside",),
        readers=("converse",),
        summary="Reserved: not written or read yet. Messages from customers.",
    ),
    Topic(
        name="dialogue.replies",
        key="userId",
        struct=dialogue.DialogueReply,
        cleanup="delete",
        retention_ms=28 * DAY_MS,
        writers=("converse",),
        readers=("outside", "learn"),
        summary="Reserved: not written or read yet. Replies to customers.",
    ),
    Topic(
        name="control.switches",
        key="scope",
        struct=control.ControlSwitch,
        cleanup="compact",
        partitioning="single",
        writers=("console", "learn"),
        readers=("personalise", "generate"),
        summary="Pauses and resumes.",
        config=COMPACTION,
    ),
    Topic(
        name="copy.pool",
        key="entry",
        struct=learning.PoolEntry,
        cleanup="compact",
        partitioning="single",
        writers=("pool", "console"),
        readers=("generate",),
        summary="Texts generated in advance and approved by people.",
        config=COMPACTION,
    ),
    Topic(
        name="playbook.versions",
        key="version",
        struct=control.PlaybookVersion,
        cleanup="compact",
        partitioning="single",
        writers=("console",),
        readers=("personalise", "generate", "learn", "converse"),
        summary="Reserved: not written or read yet. Published playbooks.",
    ),
    Topic(
        name="model.registry",
        key="model_id",
        struct=learning.ModelVersion,
        cleanup="compact",
        partitioning="single",
        writers=("train", "console"),
        readers=("generate", "understand", "converse"),
        summary="Reserved: not written or read yet. Trained adapters and encoders.",
    ),
    Topic(
        name="audit.trail",
        key="subject",
        struct=control.AuditRecord,
        cleanup="delete",
        retention_ms=400 * DAY_MS,
        partitioning="single",
        writers=("console",),
        readers=("outside",),
        summary="Who changed what.",
    ),
    Topic(
        name="privacy.requests",
        key="userId",
        struct=control.PrivacyRequest,
        cleanup="delete",
        retention_ms=28 * DAY_MS,
        writers=("console", "outside"),
        readers=("personalise", "generate", "learn", "understand", "converse"),
        summary="Reserved: not read yet. Requests to erase, export or restrict a customer's data.",
    ),
    Topic(
        name="privacy.receipts",
        key="salted hash of the userId",
        struct=control.PrivacyReceipt,
        cleanup="delete",
        retention_ms=90 * DAY_MS,
        partitioning="single",
        writers=("personalise", "generate", "learn", "understand", "converse"),
        readers=("outside",),
        summary="Reserved: not written yet. Which data were erased, and which remain until when.",
    ),
    Topic(
        name="dead.letters",
        key="the source record's key",
        struct=control.DeadLetter,
        cleanup="delete",
        retention_ms=14 * DAY_MS,
        writers=("intake", "personalise", "generate", "learn", "understand", "converse"),
        readers=(),
        summary="Inputs that could not be processed, with reason and origin.",
    ),
    Topic(
        name="personalise-state",
        key="internal",
        struct=None,
        cleanup="compact",
        writers=("personalise",),
        readers=("personalise",),
        summary="Changelog of personalise: profiles and the applied offsets of each lane (msgpack).",
        busy=True,
        config=COMPACTION,
    ),
    Topic(
        name="learn-state",
        key="internal",
        struct=None,
        cleanup="compact",
        writers=("learn",),
        readers=("learn",),
        summary="Changelog of learn: open exposures, counts and the applied offsets of each lane (msgpack).",
        busy=True,
        config=COMPACTION,
    ),
)

BY_NAME = {topic.name: topic for topic in TOPICS}
#: The topics with one partition, whatever the installation's partition count.
SINGLE = frozenset(topic.name for topic in TOPICS if topic.partitioning == "single")
