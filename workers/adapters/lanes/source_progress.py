"""Tracks a lane's offset in each of its sources, and the ID of the topic to which the offset belongs.

A topic that is deleted and recreated has a new ID and starts at offset 0: offsets of the old one are invalid there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

import msgspec
from confluent_kafka import Consumer, TopicPartition

from workers.adapters.kafka.topic_ids import FRESH_S, is_another
from workers.adapters.lanes.spec import TopicPartitionKey
from workers.adapters.process import failpoints
from workers.adapters.state.checkpoint import Marker
from workers.core.errors import Fatal, Unavailable
from workers.core.stream.effects import Effects
from workers.core.stream.records import Record

log = logging.getLogger(__name__)

_TIMEOUT_S = 30.0


class SourceProgress:
    """The next offset of every source of one lane. Methods that query the broker block."""

    def __init__(
        self, sources: list[TopicPartitionKey], prefix: str, fetch_ids: Callable[[float], Mapping[str, str]]
    ) -> None:
        """`fetch_ids` returns the topic IDs of the sources, at most the given number of seconds old (topic_ids.SourceIds)."""
        self._sources, self._prefix, self._fetch_ids = sources, prefix, fetch_ids
        self.next: dict[TopicPartitionKey, int] = {}
        self._fetched_next: dict[TopicPartitionKey, int] = {}
        self._ids: dict[str, str] = {}  # topic on the cluster → ID
        self._recreated = ""
        self._elsewhere = Marker()  # the marker's entries for topics that are not among the current sources

    # -- where to begin ----------------------------------------------------------------------------------------------

    def fetch_ids(self) -> None:
        """Fetches the current topic IDs of the sources. Raises Unavailable."""
        topics = {topic for topic, _ in self._sources}
        self._ids = {topic: found for topic, found in self._fetch_ids(FRESH_S).items() if topic in topics}

    def begin_at(self, source: TopicPartitionKey, offset: int | None, source_id: str) -> None:
        """Continues a source at `offset`, unless the offset belongs to an earlier topic of the same name."""
        topic, partition = source
        if offset is None:
            return
        if is_another(source_id, self._ids.get(topic, "")):
            log.error(
                "%s[%d] was deleted and recreated: it is read from the beginning (old topic: %d records applied)",
                *(topic, partition, offset),
            )
            return
        self.next[source] = offset

    def begin_from(self, marker: Marker) -> None:
        """Continues at a marker. Its entries for other topics are kept for the next marker."""
        names = {source: source[0].removeprefix(self._prefix) for source in self._sources}
        for source, name in names.items():
            self.begin_at(source, marker.offsets.get(name), marker.source_ids.get(name, ""))
        elsewhere = {name: offset for name, offset in marker.offsets.items() if name not in names.values()}
        ids = {name: source_id for name, source_id in marker.source_ids.items() if name not in names.values()}
        self._elsewhere = Marker(offsets=elsewhere, source_ids=ids)

    # -- -- topics that were recreated ---- --------------------------------------------------------------------------

    def about_to_seek(self) -> None:
        """Forgets the fetched offsets: after the coming seek, an offset that goes back proves nothing."""
        self._fetched_next = {}

    def fetched(self, source: TopicPartitionKey, first: int, last: int) -> None:
        """Records the offsets of a fetched batch. An offset that goes back without a seek comes from another topic."""
        if first < self._fetched_next.get(source, 0):
            self._recreated = f"{source[0]}[{source[1]}]"
        self._fetched_next[source] = last + 1

    def check_ids(self, age_s: float = FRESH_S) -> None:
        """Compares the topic IDs, at most `age_s` old, with those at the start. Raises as `refuse_recreated` does."""
        with suppress(Unavailable):  # in this case nothing can be fetched either
            now = self._fetch_ids(age_s)
            recreated = [topic for topic, known in self._ids.items() if is_another(known, now.get(topic, ""))]
            self._recreated = self._recreated or ", ".join(recreated)
        self.refuse_recreated()

    def refuse_recreated(self) -> None:
        """Raises Fatal if a source was deleted and recreated: the next start works out where to begin."""
        if self._recreated:
            raise Fatal(
                f"{self._recreated} was deleted and recreated.",
                "nothing to do: the next start reads it from the beginning",
            )

    # -- -- progress ---- --------------------------------------------------------------------------------------------

    def advance(self, records: Iterable[Record], effects: Effects) -> list[Record]:
        """Advances past the records of a batch that were not deferred, and returns those."""
        deferred = {(record.topic, record.offset) for record in effects.deferred if failpoints.stops_at_deferred()}
        advanced = [record for record in records if (record.topic, record.offset) not in deferred]
        for record in advanced:
            source = (f"{self._prefix}{record.topic}", record.partition)
            self.next[source] = max(self.next.get(source, 0), record.offset + 1)
        return advanced

    def pass_over(self, handed_over: Callable[[TopicPartitionKey], int | None]) -> bool:
        """Advances past entries that are not records (transaction markers, aborted records); returns whether there were any.

        A source that ends in such entries then counts as read to its end.
        """
        ends = {source: handed_over(source) or 0 for source in self._sources}
        passed = {source: end for source, end in ends.items() if end > self.next.get(source, 0)}
        self.next.update(passed)
        return bool(passed)

    # -- what is committed -------------------------------------------------------------------------------------------

    def group_offsets(self) -> list[TopicPartition]:
        """Returns the offsets of a lane without state, each with the ID of its topic."""
        return [
            TopicPartition(topic, partition, offset, self._ids.get(topic, ""))
            for (topic, partition), offset in self.next.items()
        ]

    def marker(self, clock_s: float, anew_at_s: float) -> Marker:
        """Returns the marker that a lane with state writes into its changelog."""
        offsets = {topic.removeprefix(self._prefix): offset for (topic, _), offset in self.next.items()}
        ids = {topic.removeprefix(self._prefix): source_id for topic, source_id in self._ids.items()}
        return Marker(
            offsets={**self._elsewhere.offsets, **offsets},
            clock_s=clock_s,
            anew_at_s=anew_at_s,
            source_ids={**ids, **self._elsewhere.source_ids},
        )


class GroupOffsets(msgspec.Struct, frozen=True):
    """A consumer group as a lane without state knows it.

    `committed`: source → (offset, or None if never committed; ID of its topic). `metadata` names no member: fencing is by
    transactional ID.
    """

    committed: dict[TopicPartitionKey, tuple[int | None, str]]
    metadata: object


def read_group(
    client_config: Mapping[str, str | int], group: str, sources: Iterable[TopicPartitionKey]
) -> GroupOffsets:
    """Reads the offsets that `SourceProgress.group_offsets` committed. Raises Unavailable."""
    consumer = Consumer({**client_config, "group.id": group, "isolation.level": "read_committed"})
    metadata = consumer.consumer_group_metadata()
    try:
        found = consumer.committed([TopicPartition(*source) for source in sources], timeout=_TIMEOUT_S)
    finally:
        consumer.close()
    for tp in found:
        if tp.error is not None:  # this is not "never committed": starting over would repeat everything
            raise Unavailable(f"cannot read the offsets of group {group}: {tp.error}", "is Kafka up?")
    committed = {
        (tp.topic, tp.partition): (tp.offset if tp.offset >= 0 else None, str(tp.metadata or "")) for tp in found
    }
    return GroupOffsets(committed, metadata)
