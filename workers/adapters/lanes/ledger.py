"""Reads back what a lane has published when its own state is lost: the ledger still has it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import islice

import msgspec

from workers.adapters.kafka.reader import TopicReader
from workers.adapters.lanes.spec import LaneSpec
from workers.adapters.process import clock, failpoints
from workers.adapters.state.checkpoint import Marker
from workers.core.personalisation.ledger_recovery import Recollection
from workers.core.stream.effects import Effects
from workers.core.stream.published_ids import PublishedIds
from workers.core.stream.records import Output
from workers.settings import Settings

log = logging.getLogger(__name__)

#: How long after losing its state a lane reads its ledger at every start: the oldest occurrence is decided by then [s].
_ANEW_S = 30 * 86_400.0
#: Customers per transaction of the first state.
_CUSTOMERS = 5_000


class LedgerHistory:
    """The outputs that one lane has published before. `read` blocks; everything else is quick."""

    def __init__(self, name: str, partition: int, spec: LaneSpec, settings: Settings, beat: Callable[[], None]) -> None:
        """`beat` is called for every record read: reading may take as long as it needs."""
        self._name, self._partition, self._spec, self._settings, self._beat = name, partition, spec, settings, beat
        self._told: PublishedIds | None = None
        self._recollection = Recollection()

    def read(self, marker: Marker) -> Marker:
        """Reads the ledger if the lane's state was lost with its changelog. Returns the marker to continue with."""
        now_s, begins_anew = clock.now_s(), not marker.offsets
        if not self._spec.ledger or not (begins_anew or now_s - marker.anew_at_s < _ANEW_S):
            return marker
        if not failpoints.minds_ledger():
            return marker
        told, partitions = PublishedIds(), {topic: [self._partition] for topic in self._spec.ledger}
        with TopicReader(self._settings, self._spec.ledger, partitions=partitions) as reader:
            for record in reader.read_to_end():
                told.learn(record.topic, record.value)
                if begins_anew:
                    self._recollection.learn(record.topic, record.value)
                self._beat()
        if not told:
            return marker
        self._told = told
        log.warning(
            "lane %s has begun anew: what stands in its ledger (%d ids) is not said again", self._name, len(told)
        )
        return msgspec.structs.replace(marker, anew_at_s=now_s) if begins_anew else marker

    def news(self, outputs: list[Output]) -> list[Output]:
        """Returns the outputs that were not published before."""
        return outputs if self._told is None else self._told.news(outputs)

    def first_state(self, clock_s: float) -> Iterator[Effects]:
        """Yields the first state of a lane that lost its own, one transaction at a time.

        Each must be committed before the next is requested. The second call yields nothing.
        """
        now_s = clock.now_s() if self._settings.clock == "wall" else 0.0
        remembered, self._recollection = self._recollection.customers(now_s), Recollection()
        while customers := list(islice(remembered, _CUSTOMERS)):
            effects = Effects(clock_s=clock_s)
            effects.puts = [(one.key, one.value) for one in customers]
            effects.outputs = [output for one in customers for output in one.owed]
            yield effects
            self._beat()
            for output in effects.outputs:
                if self._told is not None:
                    self._told.learn(output.topic, output.value)
