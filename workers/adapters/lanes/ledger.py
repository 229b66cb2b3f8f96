"""Recovers from the ledger what a lane has published, after the lane has lost its own state."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import islice

import msgspec

from workers.adapters.kafka.reader import TopicReader
from workers.adapters.lanes.spec import LaneSpec
from workers.adapters.process import clock, failpoints
from workers.adapters.state.checkpoint import Marker
from workers.core.personalisation.ledger_recovery import LedgerRecovery
from workers.core.stream.effects import Effects
from workers.core.stream.published_ids import PublishedIds
from workers.core.stream.records import Output
from workers.settings import Settings

log = logging.getLogger(__name__)

#: A lane reads its ledger at every start for this long after losing its state: by then the oldest occurrence is decided [s].
_REREAD_S = 30 * 86_400.0
#: Customers per transaction of the first state.
_CUSTOMERS = 5_000


class LedgerHistory:
    """The outputs that one lane has already published. `read` blocks; everything else is fast."""

    def __init__(self, name: str, partition: int, spec: LaneSpec, settings: Settings, beat: Callable[[], None]) -> None:
        """`beat` is called for every record read: reading may take as long as it needs."""
        self._name, self._partition, self._spec, self._settings, self._beat = name, partition, spec, settings, beat
        self._published: PublishedIds | None = None
        self._recovery = LedgerRecovery()

    def read(self, marker: Marker) -> Marker:
        """Reads the ledger if the lane lost its state and its changelog. Returns the marker to continue with."""
        now_s, state_lost = clock.now_s(), not marker.offsets
        if not self._spec.ledger or not (state_lost or now_s - marker.anew_at_s < _REREAD_S):
            return marker
        if not failpoints.reads_ledger():
            return marker
        published, partitions = PublishedIds(), {topic: [self._partition] for topic in self._spec.ledger}
        with TopicReader(self._settings, self._spec.ledger, partitions=partitions) as reader:
            for record in reader.read_to_end():
                published.add(record.topic, record.value)
                if state_lost:
                    self._recovery.add(record.topic, record.value)
                self._beat()
        if not published:
            return marker
        self._published = published
        log.warning(
            "lane %s lost its state: the %d IDs in its ledger are not published again", self._name, len(published)
        )
        return msgspec.structs.replace(marker, anew_at_s=now_s) if state_lost else marker

    def unpublished(self, outputs: list[Output]) -> list[Output]:
        """Returns the outputs that have not been published before."""
        return outputs if self._published is None else self._published.unpublished(outputs)

    def first_state(self, clock_s: float) -> Iterator[Effects]:
        """Yields the first state of a lane that lost its own, one transaction at a time.

        Each must be committed before the next is requested. The second call yields nothing.
        """
        now_s = clock.now_s() if self._settings.clock == "wall" else 0.0
        recovered, self._recovery = self._recovery.customers(now_s), LedgerRecovery()
        while customers := list(islice(recovered, _CUSTOMERS)):
            effects = Effects(clock_s=clock_s)
            effects.puts = [(one.key, one.value) for one in customers]
            effects.outputs = [output for one in customers for output in one.outcomes]
            yield effects
            self._beat()
            for output in effects.outputs:
                if self._published is not None:
                    self._published.add(output.topic, output.value)
