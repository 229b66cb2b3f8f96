"""Tracks a lane's offset in each of its sources, and the ID of the topic to which the offset belongs.

A topic that is deleted and recreated has a new ID and starts at offset 0: offsets of the old one are invalid there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from confluent_kafka import TopicPartition

from workers.adapters.kafka.topic_ids import FRESH_S, is_another
from workers.adapters.lanes.spec import TopicPartitionKey
from workers.adapters.state.checkpoint import Marker
from workers.core.errors import Fatal, Unavailable
from workers.core.stream.effects import Effects
from workers.core.stream.records import Record

log = logging.getLogger(__name__)


class SourceProgress:
    """The next offset of every source of one lane. Methods that ask the broker block."""

    def __init__(
        self, sources: list[TopicPartitionKey], prefix: str, ask_ids: Callable[[float], Mapping[str, str]]
    ) -> None:
        """`ask_ids` returns the IDs of the sources' topics, at most so many seconds old (topic_ids.SourceIds)."""
        self._sources, self._prefix, self._ask_ids = sources, prefix, ask_ids
        self.next: dict[TopicPartitionKey, int] = {}
        self._fetched_next: dict[TopicPartitionKey, int] = {}
        self._ids: dict[str, str] = {}  # topic on the cluster → ID
        self._remade = ""
        self._elsewhere = Marker()  # what the marker holds for topics that are not among the sources now

    # -- where to begin ----------------------------------------------------------------------------------------------

    def ask_ids(self) -> None:
        """Asks for the current IDs of the sources' topics. Raises Unavailable."""
        topics = {topic for topic, _ in self._sources}
        self._ids = {topic: found for topic, found in self._ask_ids(FRESH_S).items() if topic in topics}

    def begin_at(self, source: TopicPartitionKey, offset: int | None, source_id: str) -> None:
        """Continues after what was applied of a source, unless that belonged to an earlier topic of the same name."""
        topic, partition = source
        if offset is None:
            return
        if is_another(source_id, self._ids.get(topic, "")):
            log.error(
                "%s[%d] was deleted and made anew: it is read from its beginning, after %d records of the one before",
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

    def sought(self) -> None:
        """The consumer is about to be positioned: from here on an older offset proves nothing."""
        self._fetched_next = {}

    def fetched(self, source: TopicPartitionKey, first: int, last: int) -> None:
        """Records the offsets of a fetched batch. An offset that goes back without a seek comes from another topic."""
        if first < self._fetched_next.get(source, 0):
            self._remade = f"{source[0]}[{source[1]}]"
        self._fetched_next[source] = last + 1

    def check_ids(self, age_s: float = FRESH_S) -> None:
        """Compares the topics with those at the start, by an answer at most `age_s` old. Raises as `refuse_remade` does."""
        with suppress(Unavailable):  # then nothing can be fetched either
            now = self._ask_ids(age_s)
            remade = [topic for topic, known in self._ids.items() if is_another(known, now.get(topic, ""))]
            self._remade = self._remade or ", ".join(remade)
        self.refuse_remade()

    def refuse_remade(self) -> None:
        """Raises Fatal if a source was deleted and recreated: the next start works out where to begin."""
        if self._remade:
            raise Fatal(
                f"{self._remade} was deleted and made anew.", "the next start reads it from its beginning by itself"
            )

    # -- -- progress ---- --------------------------------------------------------------------------------------------

    def advance(self, records: Iterable[Record], effects: Effects) -> list[Record]:
        """Moves past the records of a batch that were not deferred, and returns those."""
        deferred = {(record.topic, record.offset) for record in effects.deferred}
        advanced = [record for record in records if (record.topic, record.offset) not in deferred]
        for record in advanced:
            source = (f"{self._prefix}{record.topic}", record.partition)
            self.next[source] = max(self.next.get(source, 0), record.offset + 1)
        return advanced

    def pass_over(self, handed_over: Callable[[TopicPartitionKey], int | None]) -> bool:
        """Moves past what is not a record (transaction markers, aborted records); tells whether there was any.

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
