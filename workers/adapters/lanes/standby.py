"""Keeps copies of other workers' lanes up to date, so that a takeover restores only the last seconds.

A standby is a restore ahead of time, by the same code, into the folder from which the lane would open. One thread cycles
through the lanes that this process does not own. No copy is open between two rounds, so copies cost disk space and some
reading, but no memory.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

from workers.adapters.lanes.spec import LaneSpec
from workers.adapters.state.recovery import restore
from workers.adapters.state.rocksdb import RocksStore
from workers.core.errors import Fatal, Unavailable
from workers.core.stream.metrics import Metrics
from workers.settings import Settings

log = logging.getLogger(__name__)


class Standby:
    """Follows the lanes that this process has not taken; does nothing if `standby_interval_s` is 0 or lanes have no state."""

    def __init__(
        self, spec: LaneSpec, settings: Settings, client_config: Mapping[str, str | int], metrics: Metrics
    ) -> None:
        """Does not follow anything yet."""
        self._spec = spec
        self._settings = settings
        self._client_config = client_config
        self._metrics = metrics
        self._taken: set[str] = set()
        self._given_up: set[str] = set()
        self._open = ""
        self._changed = threading.Condition()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="standby", daemon=True)

    def start(self) -> None:
        """Starts the rounds, the first one interval from now. Further calls change nothing."""
        if self._settings.standby_interval_s and self._spec.changelog is not None and self._thread.ident is None:
            self._thread.start()

    def close(self) -> None:
        """Abandons the copy in progress and ends. Blocks for two seconds at most: a copy survives any interruption."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join(2.0)

    def take(self, lane: str) -> None:
        """Claims the lane for this process; returns once its folder is free.

        Blocks until the copy has finished its chunk, or, without a broker, until it times out.
        """
        with self._changed:
            self._taken.add(lane)
            self._changed.wait_for(lambda: self._open != lane)

    def release(self, lane: str) -> None:
        """Allows the lane to be followed again. Call it after the lane has closed its store."""
        with self._changed:
            self._taken.discard(lane)

    def run_round(self) -> int:
        """Runs one round: brings every copy that is not in use up to date. Returns the number of these copies."""
        source = self._spec.sources[0]
        lanes = {self._spec.lane_of(source, partition): partition for partition in range(self._settings.partitions)}
        return sum(self._follow(lane, partition) for lane, partition in lanes.items())

    def _run(self) -> None:
        while not self._ending.wait(self._settings.standby_interval_s):
            self._metrics.gauge("standby_lanes", self.run_round(), self._spec.role)
            self._metrics.count("standby_rounds", self._spec.role)

    def _follow(self, lane: str, partition: int) -> bool:
        with self._changed:
            if lane in self._taken | self._given_up or self._ending.is_set():
                return False
            self._open = lane
        try:
            self._update(lane, partition)
        except Unavailable as error:
            log.warning("standby copy of lane %s not updated: %s", lane, error)
            return False
        except Exception as error:  # a copy must not end the process; the lane's owner gets the same error
            log.error("standby copy of lane %s abandoned: %s", lane, error, exc_info=not isinstance(error, Fatal))
            self._given_up.add(lane)
            return False
        finally:
            with self._changed:
                self._open = ""
                self._changed.notify_all()
        return lane not in self._taken

    def _update(self, lane: str, partition: int) -> None:
        store = RocksStore(self._spec.state_folder(self._settings, lane))
        try:
            restore(
                *(store, self._settings.topic(self._spec.changelog or ""), partition, self._client_config),
                self._spec.index_of,
                sources=[(self._settings.topic(source), partition) for source in self._spec.sources],
                stop=lambda: lane in self._taken or self._ending.is_set(),
            )
        finally:
            store.close()
