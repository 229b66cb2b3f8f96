"""Watches the progress of `intake` from outside, so that publishing waits for a purchase that is not mapped yet.

Runs as a thread in the processes of `personalise` and `learn`. It reads the offsets that `intake` has committed and the ends
of its topics, and changes nothing. An installation that writes `customer.events` without `intake` has no such group, and
nothing waits for it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from threading import Event, Thread

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec  # where the library defines it

from workers.adapters.kafka.group_offsets import GroupOffsets, Place
from workers.adapters.kafka.preflight import partitions_of
from workers.adapters.lanes.intake_progress import MappedUntil
from workers.adapters.process import clock, failpoints
from workers.core.errors import Misconfigured, Unavailable
from workers.core.stream.metrics import Metrics
from workers.settings import Settings

log = logging.getLogger(__name__)

_LOOK_S, _TELL_AGAIN_S = 0.5, 60.0
#: Interval of the search for new topics and partitions [s].
_PLACES_S = 10.0
#: Interval of the check whether missing permissions have been granted [s].
_BLIND_S = 30.0
_TIMEOUT_S = 10.0
_EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call] # the library's factories have no types
_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call] # likewise


class IntakeWatch:
    """One per process. Call `start` and `stop` from one thread; `allows` from any."""

    def __init__(self, settings: Settings, client_config: Mapping[str, str | int], metrics: Metrics) -> None:
        self._group = f"{settings.prefix}intake"
        self._group_offsets = GroupOffsets(settings, self._group)
        self._hold_lag_s = settings.intake_hold_lag_s
        self._config, self._metrics = client_config, metrics
        self._until = MappedUntil(settings.intake_hold_lag_s)
        self._waits = settings.intake_hold_lag_s > 0 and settings.clock == "wall" and failpoints.minds_intake()
        self._needed = self._waits  # False while there is no intake, or it may not be seen
        self._behind: dict[Place, int] = {}
        self._places: list[Place] = []
        self._placed_s = float("-inf")
        self._told_s, self._has_told_unseen = float("-inf"), False
        self._ended = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Starts the watch if anything has to wait; a second call does nothing."""
        if self._waits and self._thread is None:
            self._thread = Thread(target=self._watch, name="intake-watch", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ends the thread, without waiting for a request to the broker in progress."""
        self._ended.set()

    def allows(self, horizon_s: float) -> bool:
        """Returns whether a lane that knows `customer.events` up to `horizon_s` (monotonic) knows what shops have sent."""
        return not self._needed or self._until.allows(horizon_s, clock.monotonic_s() - self._hold_lag_s)

    def _watch(self) -> None:
        admin, pause_s = AdminClient(dict(self._config)), 0.0
        began_s = clock.monotonic_s()
        while not self._ended.wait(pause_s):
            pause_s = _LOOK_S
            try:
                self._needed = self._look(admin)
            except (KafkaException, Unavailable) as error:
                log.debug("intake cannot be watched: %s", error)  # the known state ages, and publishing waits
            except _Unseen as error:
                self._needed, pause_s = False, _BLIND_S
                self._tell_unseen(str(error))
            except Exception:  # if the watch ended, everything would be held up forever
                pause_s = _BLIND_S
                log.exception("intake cannot be watched, what leaves waits")
            lag_s = clock.monotonic_s() - max(self._until.until_s, began_s) if self._needed else 0.0
            self._metrics.gauge("intake_lag_seconds", lag_s)
            if lag_s > self._hold_lag_s:
                self._tell_lag(lag_s)
        self._group_offsets.close()

    def _look(self, admin: AdminClient) -> bool:
        """Checks once; False = there is no intake to wait for. Ends are read first, so that what is applied covers them."""
        places, self._places = self._places, []  # unless all goes well, the next check looks for the partitions again
        if not places or clock.monotonic_s() >= self._placed_s + _PLACES_S:
            places, self._placed_s = self._all_places(admin), clock.monotonic_s()
        if not places:
            return False
        asked_at_s = clock.monotonic_s()
        ends = self._offsets(admin, places, _LATEST)
        applied = self._applied()
        if begun := [place for place, end in ends.items() if applied.get(place, 0) < end]:
            firsts = self._offsets(admin, begun, _EARLIEST)  # nothing maps what retention has deleted
            applied |= {place: max(applied.get(place, 0), first) for place, first in firsts.items()}
        self._behind = {place: left for place, end in ends.items() if (left := end - applied.get(place, 0)) > 0}
        self._until.looked(asked_at_s, ends, clock.monotonic_s(), applied)
        self._places = places
        return True

    def _all_places(self, admin: AdminClient) -> list[Place]:
        """Returns every partition of the topics that intake has begun to map; [] = there is no intake. Raises _Unseen."""
        topics = {topic for topic, _ in self._applied()}
        if not topics:
            return []
        try:
            numbers = partitions_of(admin, sorted(topics))
        except Misconfigured as error:
            raise _Unseen(str(error)) from error
        if unseen := topics - numbers.keys():
            raise _Unseen(f"there is no {', '.join(sorted(unseen))}, or this user may not see it")
        return [(topic, number) for topic in numbers for number in numbers[topic]]

    def _applied(self) -> dict[Place, int]:
        """Returns intake's committed offsets; {} = the group does not exist. Raises _Unseen without the permission to see
        them.
        """
        try:
            return self._group_offsets.read()
        except Misconfigured as error:
            raise _Unseen(str(error)) from error

    def _offsets(self, admin: AdminClient, places: list[Place], spec: OffsetSpec) -> dict[Place, int]:
        """Returns offsets including those of open transactions: their records are on the way, too."""
        asked = {TopicPartition(*place): spec for place in places}
        level = IsolationLevel.READ_UNCOMMITTED
        futures = admin.list_offsets(asked, isolation_level=level, request_timeout=_TIMEOUT_S)
        return {(found.topic, found.partition): future.result().offset for found, future in futures.items()}

    def _tell_lag(self, lag_s: float) -> None:
        """Logs the lag, at most once a minute."""
        if clock.monotonic_s() < self._told_s + _TELL_AGAIN_S:
            return
        self._told_s = clock.monotonic_s()
        (topic, partition), left = max(self._behind.items(), key=lambda item: item[1], default=(("?", 0), 0))
        log.warning(
            "timers wait for intake: what shops sent in the last %.0f s is not mapped, %d records of %s[%d] for example. Cure: "
            "does intake run? If nobody maps that topic any more, delete its offsets of the group %s; "
            "ATTUNE_INTAKE_HOLD_LAG_S=0 waits for nobody (docs/operation.md)",
            *(lag_s, left, topic, partition, self._group),
        )

    def _tell_unseen(self, what: str) -> None:
        """Logs the missing permission once."""
        if not self._has_told_unseen:
            self._has_told_unseen = True
            log.warning("timers do not wait for intake: %s. Cure: grant it Describe (docs/operation.md)", what)


class _Unseen(Exception):
    """Raised for what this user may not see: then nothing can wait for it."""
