"""The consumer that feeds the lanes, as they see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from workers.adapters.lanes.spec import TopicPartitionKey


class Positions(Protocol):
    """The methods that a lane uses of the consumer that feeds it."""

    async def seek_lane(
        self,
        offsets: Mapping[TopicPartitionKey, int | None],
        wanted: Callable[[], bool],
        ready: Callable[[], None],
    ) -> None:
        """Sets the fetch positions (None = the earliest record), and calls `ready` before anything is fetched from there.

        Does neither if `wanted` returns False at that moment: the partitions are changing hands.
        """
        ...

    async def commit_hint(self, offsets: Mapping[TopicPartitionKey, int]) -> None:
        """Commits group offsets, for lag monitors only."""
        ...

    def horizon_s(self, source: TopicPartitionKey) -> float:
        """Returns the monotonic time up to which the lane has everything in the source's log; see horizon.Horizon [s]."""
        ...

    def handed_over(self, source: TopicPartitionKey) -> int | None:
        """Returns the offset before which the lane has everything of the source; None if not known."""
        ...

    def rejoin(self) -> None:
        """Requests a new assignment from the group, which makes one when its leader rejoins."""
        ...
