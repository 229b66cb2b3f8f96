"""The result of every processor: the effects of a batch, committed together or not at all."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

import msgspec

from workers.core.stream.metrics import HistogramName, Tally
from workers.core.stream.records import Output, Record


class Effects(msgspec.Struct, kw_only=True):
    """The result of one batch.

    `puts` change the state (None = delete) and go to the changelog; `index_puts` and `index_deletes` change only the local
    index. `deferred` are the records that were not applied and must be delivered again, in order: the last of their topic.
    `clock_s` is the partition clock after the batch; `more_due` requests the next batch at once, because timers are still due.
    `tally` is added to metric counters and `timings`, (metric, seconds, label values), are observed once the batch is
    committed; `pending` is the number waiting in the lane after it, by reason (core.personalisation.pending).
    """

    outputs: list[Output] = []
    puts: list[tuple[bytes, bytes | None]] = []
    index_puts: list[bytes] = []
    index_deletes: list[bytes] = []
    deferred: list[Record] = []
    clock_s: float = 0.0
    more_due: bool = False
    tally: Tally = msgspec.field(default_factory=Counter)
    timings: list[tuple[HistogramName, float, tuple[str, ...]]] = []
    pending: dict[str, int] = {}

    @property
    def empty(self) -> bool:
        """True if there is nothing to commit besides offsets."""
        return not (self.outputs or self.puts or self.index_puts or self.index_deletes)


class Processor(Protocol):
    """The pure part of a lane. There is one instance per lane; it may cache what it has read, because a failed commit also
    discards the lane.
    """

    def apply(self, records: list[Record], wall_s: float, *, caught_up: bool) -> Effects:
        """Applies records in order, then advances the clock and fires due timers.

        `wall_s` is the wall clock; `caught_up` means that no backlog follows these records. A call without records is a tick.
        Never raises for bad input, which becomes a dead letter.
        """
        ...
