"""Follows the topics by which people and `learn` tell every worker what holds: control.switches, policy.snapshots."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from workers.adapters import clock
from workers.adapters.topic_reader import TopicReader
from workers.core.guidance import SNAPSHOTS, SWITCHES, Directions, Guidance
from workers.errors import Unavailable
from workers.settings import Settings

log = logging.getLogger(__name__)

#: How long the start waits for the next record of a broker that has answered before [s].
_PATIENCE_S = 15.0
#: A record is taken over at the latest this long after it has come [s].
_POLL_S = 0.1


class Follower:
    """Keeps the newest guidance of an installation. A context manager, or `start` and `stop`.

    `current` may be read from any thread and holds no lock. While the brokers are away the last known guidance holds:
    nothing can be published meanwhile either. Any other failure ends the process: a worker that does not hear «pause» any
    more must not go on.
    """

    def __init__(
        self,
        settings: Settings,
        topics: Iterable[str] = (SWITCHES, SNAPSHOTS),
        *,
        on_change: Callable[[Guidance], None] | None = None,
        end_process: Callable[[int], object] = os._exit,
    ) -> None:
        """Connects nowhere yet. `on_change` is called whenever `current` has changed, after the start in the thread."""
        self._settings = settings
        self._topics = tuple(topics)
        self._on_change = on_change
        self._end_process = end_process
        self._directions = Directions()
        self._current = self._directions.current
        self._reader: TopicReader | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def current(self) -> Guidance:
        """What holds now."""
        return self._current

    def start(self) -> None:
        """Returns when everything that was committed at the time of the call is known, and follows from then on.

        Raises Unavailable when the brokers do not answer, Misconfigured when a topic is missing.
        """
        self._stopping.clear()
        reader = self._reader = TopicReader(self._settings, self._topics)
        try:
            self._catch_up(reader)
        except BaseException:
            self.stop()
            raise
        self._thread = threading.Thread(target=self._follow, args=(reader,), name="broadcast", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends following; `current` keeps the last guidance."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        if self._reader is not None:
            self._reader.__exit__(None, None, None)
        self._thread = self._reader = None

    def _catch_up(self, reader: TopicReader) -> None:
        heard_s = clock.monotonic_s()
        while not reader.at_end:
            if self._take(reader):
                heard_s = clock.monotonic_s()
            elif clock.monotonic_s() - heard_s > _PATIENCE_S:
                raise Unavailable(
                    f"{' and '.join(map(self._settings.topic, self._topics))} cannot be read to the end.",
                    "is Kafka up?",
                )

    def _follow(self, reader: TopicReader) -> None:
        try:
            while not self._stopping.is_set():
                self._take(reader)
        except BaseException as error:
            log.critical("the worker ends: it no longer hears what is paused: %s", error, exc_info=error)
            self._end_process(70)  # EX_SOFTWARE of sysexits.h

    def _take(self, reader: TopicReader) -> bool:
        """One poll; True if something came."""
        records = reader.poll(_POLL_S)
        for record in records:
            if not self._directions.take(record):
                log.warning("%s offset %d is not usable and ignored", record.topic, record.offset)
        before, self._current = self._current, self._directions.current
        if before is not self._current:
            if before.paused != self._current.paused:
                log.info("paused now: %s", ", ".join(sorted(self._current.paused)) or "nothing")
            if self._on_change is not None:
                self._on_change(self._current)
        return bool(records)
