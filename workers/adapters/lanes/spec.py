"""Describes the lanes of one role: everything in which roles differ for the runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from workers.adapters.state.recovery import IndexOf
from workers.core.stream.effects import Processor
from workers.core.stream.records import StateStore
from workers.settings import Settings

#: (topic on the cluster, partition)
TopicPartitionKey = tuple[str, int]


class LaneSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The description of one role's lanes.

    With a `changelog` the lane has state, its progress is the marker in the changelog, and outputs stay in the lane's
    partition. Without one, its progress is the group's committed offsets (written in the same transaction), and outputs are
    partitioned by key. `lane_of` names the lane of a source partition; `core` builds the pure part from state and clock.
    Timers wait for the backlog of the topics in `paced_by`; deferred records wait for the topic `waits_for`, so a full lane
    still takes its records. `ledger`: topics from which a lane that lost its changelog recovers what it has published
    (core.stream.published_ids). `left_in`: topics in which every lane that has worked before has left records.
    """

    role: str
    group: str
    sources: tuple[str, ...]
    changelog: str | None
    lane_of: Callable[[str, int], str]
    core: Callable[[StateStore, float], Processor]
    index_of: IndexOf = lambda _key, _value: []
    paced_by: tuple[str, ...] = ()
    waits_for: str | None = None
    ledger: tuple[str, ...] = ()
    left_in: tuple[str, ...] = ()

    def state_folder(self, settings: Settings, lane: str) -> Path:
        """Returns the folder of a lane's local state."""
        return Path(settings.data_dir) / "state" / self.group / lane
