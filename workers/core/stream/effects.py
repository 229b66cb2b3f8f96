"""The result of every processor: the effects of a batch, committed together or not at all."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

import msgspec

from workers.core.stream.records import Output, Record

#: (metric name, label values in the order of the catalogue)
Tally = Counter[tuple[str, ...]]


class Effects(msgspec.Struct, kw_only=True):
    """The result of one batch.

    `puts` change the state (None = delete) and go to the changelog; `index_puts` and `index_deletes` change only the local
    index. `deferred` are the records that were not applied and must come again, in their order: the last of their topic.
    `clock_s` is the partition clock after the batch; `more_due` asks for the next batch at once, because timers are left.
    `tally` is what metrics count and `timings` what they observe, (metric, seconds, label values), once the batch is committed;
    `pending` is how many wait in the lane after it, by reason (core.personalisation.pending).
    """

    outputs: list[Output] = []
    puts: list[tuple[bytes, bytes | None]] = []
    index_puts: list[bytes] = []
    index_deletes: list[bytes] = []
    deferred: list[Record] = []
    clock_s: float = 0.0
    more_due: bool = False
    tally: Tally = msgspec.field(default_factory=Counter)
    timings: list[tuple[str, float, tuple[str, ...]]] = []
    pending: dict[str, int] = {}

    @property
    def empty(self) -> bool:
        """Nothing to commit beyond offsets."""
        return not (self.outputs or self.puts or self.index_puts or self.index_deletes)


class Processor(Protocol):
    """The pure part of a lane. One instance a lane; it may cache what it has read, because a batch whose commit fails
    takes the lane down with it.
    """

    def apply(self, records: list[Record], wall_s: float, *, caught_up: bool) -> Effects:
        """Applies records in order, then lets the clock run and fires due timers.

        `wall_s` is the wall clock; `caught_up` says that no backlog waits behind these records. With no records it is a
        tick. Never raises for bad input: that becomes a dead letter.
        """
        ...
