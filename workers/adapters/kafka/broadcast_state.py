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

#: How long the start waits for the next record of a broker that has answered before [s].
_PATIENCE_S = 15.0
#: A topic that has been missing for this long does not come back by itself [s].
GONE_LIMIT_S = 30.0
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
    """Maintains the current state of an installation, as the reducer `told` builds it from `topics`.

    A context manager, or `start` and `stop`. `current` may be read from any thread and holds no lock. While the brokers are
    unreachable the last known state applies: nothing can be published meanwhile either. A topic that was deleted and
    recreated is read from its beginning; the old topic's state applies until the new one replaces it. Any other failure ends
    the process, and so does a topic that stays missing: a worker that no longer receives operators' decisions must not go on.
    """

    def __init__(
        self,
        settings: Settings,
        topics: Iterable[str],
        told: Reducer[T],
        *,
        on_change: Callable[[T], None] | None = None,
        end_process: Callable[[int], object] = end_at_once,
        gone_limit_s: float = GONE_LIMIT_S,
    ) -> None:
        """Does not connect yet. `on_change` is called whenever `current` has changed, after the start in the thread;
        `gone_limit_s`: how long a topic may be missing [s].
        """
        self._settings = settings
        self._topics = tuple(topics)
        self._told = told
        self._on_change = on_change
        self._end_process = end_process
        self._gone_limit_s = gone_limit_s
        self._current = told.current
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
        """The state now."""
        return self._current

    def start(self) -> None:
        """Returns once everything committed at the time of the call has been applied, and follows the topics from then on.

        Raises Unavailable if the brokers do not answer, Misconfigured if a topic is missing.
        """
        self._stopping.clear()
        reader = self._reader = TopicReader(self._settings, self._topics)
        try:
            watch = TopicWatch(self._settings, self._topics, self._gone_limit_s)
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
        heard_s = clock.monotonic_s()
        while not reader.at_end:
            if self._take(reader):
                heard_s = clock.monotonic_s()
            elif clock.monotonic_s() - heard_s > _PATIENCE_S:
                raise Unavailable(
                    f"{' and '.join(map(self._settings.topic, self._topics))} cannot be read to the end.",
                    "is Kafka up?",
                )

    def _follow(self, reader: TopicReader, watch: TopicWatch) -> None:
        anew = False
        try:
            while not self._stopping.is_set():
                self._take(reader)
                if remade := watch.remade():
                    log.warning("%s was made anew: it is read from its beginning", " and ".join(remade))
                    anew = True
                if anew and (other := self._begin_again()) is not None:
                    reader, anew = other, False
        except BaseException as error:
            log.critical("the worker ends: it no longer hears %s: %s", self._heard, error, exc_info=error)
            self._end_process(exit_codes.code_of(error))

    def _begin_again(self) -> TopicReader | None:
        """Replaces the reader by one at the beginning of the topics; None = no broker is available now."""
        try:
            reader = TopicReader(self._settings, self._topics)
        except (Unavailable, Misconfigured):  # the watch reports it if this lasts
            return None
        before, self._reader = self._reader, reader
        if before is not None:
            before.__exit__(None, None, None)
        return reader

    def _take(self, reader: TopicReader) -> bool:
        """Polls once; returns True if a record arrived."""
        records = reader.poll(_POLL_S)
        for record in records:
            if not self._told.take(record):
                log.warning("%s offset %d is not usable and ignored", record.topic, record.offset)
        before, self._current = self._current, self._told.current
        if before is not self._current:
            self._say(before, self._current)
            if self._on_change is not None:
                self._on_change(self._current)
        return bool(records)

    @property
    def _heard(self) -> str:
        """Names the followed topics, for messages."""
        return " and ".join(self._topics)

    def _say(self, before: T, now: T) -> None:
        """Logs a change that an operator must know of."""


class Follower(Broadcast[ControlState]):
    """Follows what is paused and the evidence of each arm: the control state of an installation."""

    def __init__(
        self,
        settings: Settings,
        topics: Iterable[str] = (SWITCHES, SNAPSHOTS),
        *,
        on_change: Callable[[ControlState], None] | None = None,
        end_process: Callable[[int], object] = end_at_once,
        gone_limit_s: float = GONE_LIMIT_S,
    ) -> None:
        """See Broadcast."""
        super().__init__(
            *(settings, topics, ControlStateReducer()),
            on_change=on_change,
            end_process=end_process,
            gone_limit_s=gone_limit_s,
        )

    @property
    def _heard(self) -> str:
        return "what is paused"

    def _say(self, before: ControlState, now: ControlState) -> None:
        if before.paused != now.paused:
            log.info("paused now: %s", ", ".join(sorted(now.paused)) or "nothing")


def follow_pool(
    settings: Settings,
    *,
    end_process: Callable[[int], object] = end_at_once,
    gone_limit_s: float = GONE_LIMIT_S,
) -> Broadcast[ApprovedTexts]:
    """Follows the approved texts of an installation's pool; does not connect yet. See Broadcast."""
    return Broadcast(settings, (POOL,), TextPool(), end_process=end_process, gone_limit_s=gone_limit_s)
