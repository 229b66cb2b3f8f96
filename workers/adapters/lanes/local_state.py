"""The local state of one lane: restored from its changelog, and written after each commit."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from schemas.topics import SINGLE
from workers.adapters.lanes.context import LaneContext
from workers.adapters.lanes.lost_state import proof_of_past
from workers.adapters.lanes.spec import TopicPartitionKey
from workers.adapters.process import failpoints
from workers.adapters.state.checkpoint import Marker, Progress
from workers.adapters.state.recovery import restore
from workers.adapters.state.rocksdb import NoStore, RocksStore
from workers.core.stream.effects import Effects
from workers.core.stream.records import StateStore


class LocalState:
    """A RocksDB store with the marker of the last commit that it holds; without a changelog, no store and an empty marker.

    The methods block: call them in the lane's own thread. The core reads the store from the event loop while no commit runs.
    """

    def __init__(self, name: str, sources: list[TopicPartitionKey], context: LaneContext) -> None:
        self._name = name
        self._sources = sources
        self._partition = sources[0][1]
        self._context = context
        self._progress = Progress()
        self._rocks: RocksStore | None = None
        #: The number of changelog records that the restore has read.
        self.restored_records = 0

    @property
    def store(self) -> StateStore:
        """The store; one that holds nothing before the restore."""
        return self._rocks or NoStore()

    @property
    def is_kept(self) -> bool:
        """True if there is a store that commits are written to."""
        return self._rocks is not None

    @property
    def marker(self) -> Marker:
        """The marker of the last commit."""
        return self._progress.marker

    @marker.setter
    def marker(self, marker: Marker) -> None:
        self._progress = msgspec.structs.replace(self._progress, marker=marker)

    def restore(self, changelog: str, on_progress: Callable[[int, int], None], stop: Callable[[], bool]) -> None:
        """Restores the state as it was committed; only part of it if `stop` returns True. See state.recovery.restore."""
        if stop():
            return

        def report(done: int, total: int) -> None:
            self.restored_records = done
            on_progress(done, total)

        context = self._context
        context.standby.take(self._name)
        self._rocks = RocksStore(context.spec.state_folder(context.settings, self._name))
        topic = context.settings.topic(changelog)
        self._progress = restore(
            *(self._rocks, topic, self._partition, context.client_config, context.spec.index_of),
            sources=self._sources,
            past=self._past,
            begin_anew=context.settings.begin_anew,
            on_progress=report,
            stop=stop,
        )

    def write(self, effects: Effects, marker: Marker, changelog_offset: int) -> None:
        """Writes what was committed. `changelog_offset`: the offset after the commit's last record in the changelog."""
        self._progress = Progress(changelog_offset=changelog_offset, marker=marker)
        failpoints.hit("lane.before_local_write")
        if self._rocks is not None:
            self._rocks.write(effects.puts, effects.index_puts, effects.index_deletes, self._progress)
        failpoints.hit("lane.after_local_write")

    def close(self) -> None:
        """Closes the store, and lets a standby keep it up to date again."""
        if self._rocks is not None:
            self._rocks.close()
        self._context.standby.release(self._name)

    def _past(self) -> str:
        """Returns proof that this lane has worked before; empty if there is none."""
        if not failpoints.checks_past():
            return ""
        spec, settings = self._context.spec, self._context.settings
        left_in = [(settings.topic(name), 0 if name in SINGLE else self._partition) for name in spec.left_in]
        return proof_of_past(self._context.client_config, spec.group, self._sources, left_in)
