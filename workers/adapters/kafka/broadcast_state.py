"""Follows the topics that carry shared state to every worker: control.switches, policy.snapshots, copy.pool."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from workers.adapters.kafka.reader import TopicReader
from workers.adapters.kafka.topic_watch import TopicWatch
from workers.adapters.process import clock, exit_codes
from workers.adapters.process.termination import end_at_once
from workers.core.decisioning.control_state import SNAPSHOTS, SWITCHES, ControlState, ControlStateReducer
from workers.core.errors import Misconfigured, Unavailable
from workers.core.generation.pool.entries import POOL, ApprovedTexts, TextPool
from workers.core.stream.records import Record
from workers.settings import Settings

log = logging.getLogger(__name__)

#: Maximum wait for the next record while the start catches up [s].
_CATCH_UP_TIMEOUT_S = 15.0
#: A topic that has been missing for this long will not come back by itself [s].
MISSING_LIMIT_S = 30.0
#: A record is applied at most this long after it arrives [s].
_POLL_S = 0.1


T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Reducer(Protocol[T_co]):
    """State built from the records of the topics; `current` is replaced, never mutated."""

    def take(self, record: Record) -> bool:
        """Applies one record; returns False if it is not usable."""
        ...

    @property
    def current(self) -> T_co:
        """The state after all records so far; the same object as long as nothing has changed."""
        ...


class Broadcast(Generic[T]):
    """Maintains the current state of an installation, which `reducer` builds from `topics`.

    Use it as a context manager, or call `start` and `stop`. `current` may be read from any thread and takes no lock. While the
    brokers are unreachable the last known state applies: nothing can be published in that time either. A topic that was
    deleted and recreated is read from the beginning; the old topic's state applies until the new one replaces it. Any other
    failure ends the process, and so does a topic that stays missing: a worker that no longer receives operators' decisions
    must not continue.
    """

    def __init__(
        self,
        settings: Settings,
        topics: Iterable[str],
        reducer: Reducer[T],
        *,
        on_change: Callable[[T], None] | None = None,
        end_process: Callable[[int], object] = end_at_once,
        missing_limit_s: float = MISSING_LIMIT_S,
    ) -> None:
        """Does not connect yet. `missing_limit_s` is the time for which a topic may be missing [s].

        `on_change` is called whenever `current` has changed; after `start` has returned, from the background thread.
        """
        self._settings = settings
        self._topics = tuple(topics)
        self._reducer = reducer
        self._on_change = on_change
        self._end_process = end_process
        self._missing_limit_s = missing_limit_s
        self._current = reducer.current
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
    def current(self) -> T:
        """The current state."""
        return self._current

    def start(self) -> None:
        """Returns once everything committed at the time of the call has been applied, and follows the topics from then on.

        Raises Unavailable if the brokers do not answer, Misconfigured if a topic is missing.
        """
        self._stopping.clear()
        reader = self._reader = TopicReader(self._settings, self._topics)
        try:
            watch = TopicWatch(self._settings, self._topics, self._missing_limit_s)
            self._catch_up(reader)
        except BaseException:
            self.stop()
            raise
        self._thread = threading.Thread(target=self._follow, args=(reader, watch), name="broadcast", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stops following; `current` keeps the last known state."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        if self._reader is not None:
            self._reader.__exit__(None, None, None)
        self._thread = self._reader = None

    def _catch_up(self, reader: TopicReader) -> None:
        last_record_s = clock.monotonic_s()
        while not reader.at_end:
            if self._take(reader):
                last_record_s = clock.monotonic_s()
            elif clock.monotonic_s() - last_record_s > _CATCH_UP_TIMEOUT_S:
                raise Unavailable(
                    f"{' and '.join(map(self._settings.topic, self._topics))} cannot be read to the end.",
                    "is Kafka up?",
                )

    def _follow(self, reader: TopicReader, watch: TopicWatch) -> None:
        must_reopen = False
        try:
            while not self._stopping.is_set():
                self._take(reader)
                if recreated := watch.recreated():
                    log.warning("%s was deleted and recreated: reading from the beginning", " and ".join(recreated))
                    must_reopen = True
                if must_reopen and (reopened := self._reopen()) is not None:
                    reader, must_reopen = reopened, False
        except BaseException as error:
            log.critical("the worker exits: it can no longer follow %s: %s", self._subject, error, exc_info=error)
            self._end_process(exit_codes.code_of(error))

    def _reopen(self) -> TopicReader | None:
        """Replaces the reader by one at the beginning of the topics; returns None if no broker is available now."""
        try:
            reader = TopicReader(self._settings, self._topics)
        except (Unavailable, Misconfigured):  # the watch raises if this lasts
            return None
        before, self._reader = self._reader, reader
        if before is not None:
            before.__exit__(None, None, None)
        return reader

    def _take(self, reader: TopicReader) -> bool:
        """Polls once; returns True if a record arrived."""
        records = reader.poll(_POLL_S)
        for record in records:
            if not self._reducer.take(record):
                log.warning("%s offset %d cannot be used and is ignored", record.topic, record.offset)
        before, self._current = self._current, self._reducer.current
        if before is not self._current:
            self._log_change(before, self._current)
            if self._on_change is not None:
                self._on_change(self._current)
        return bool(records)

    @property
    def _subject(self) -> str:
        """The name of the followed topics in log lines."""
        return " and ".join(self._topics)

    def _log_change(self, before: T, now: T) -> None:
        """Logs a change that an operator must know about."""


class Follower(Broadcast[ControlState]):
    """Follows the control state of an installation: what is paused, and the evidence of each arm."""

    def __init__(
        self,
        settings: Settings,
        topics: Iterable[str] = (SWITCHES, SNAPSHOTS),
        *,
        on_change: Callable[[ControlState], None] | None = None,
        end_process: Callable[[int], object] = end_at_once,
        missing_limit_s: float = MISSING_LIMIT_S,
    ) -> None:
        """See Broadcast."""
        super().__init__(
            *(settings, topics, ControlStateReducer()),
            on_change=on_change,
            end_process=end_process,
            missing_limit_s=missing_limit_s,
        )

    @property
    def _subject(self) -> str:
        return "the pause switches"

    def _log_change(self, before: ControlState, now: ControlState) -> None:
        if before.paused != now.paused:
            log.info("paused now: %s", ", ".join(sorted(now.paused)) or "nothing")


def follow_pool(
    settings: Settings,
    *,
    end_process: Callable[[int], object] = end_at_once,
    missing_limit_s: float = MISSING_LIMIT_S,
) -> Broadcast[ApprovedTexts]:
    """Follows the approved texts of an installation's pool; does not connect yet. See Broadcast."""
    return Broadcast(settings, (POOL,), TextPool(), end_process=end_process, missing_limit_s=missing_limit_s)
