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

_CHECK_INTERVAL_S, _WARN_INTERVAL_S = 0.5, 60.0
#: Interval at which new topics and partitions are looked up [s].
_REFRESH_INTERVAL_S = 10.0
#: Interval at which missing permissions are checked again [s].
_RETRY_INTERVAL_S = 30.0
_TIMEOUT_S = 10.0
_EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call] # the library's factories have no types
_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call] # likewise


class IntakeWatch:
    """Watches the progress of `intake`; one per process. Call `start` and `stop` from one thread, `allows` from any."""

    def __init__(self, settings: Settings, client_config: Mapping[str, str | int], metrics: Metrics) -> None:
        self._group = f"{settings.prefix}intake"
        self._group_offsets = GroupOffsets(settings, self._group)
        self._hold_lag_s = settings.intake_hold_lag_s
        self._config, self._metrics = client_config, metrics
        self._until = MappedUntil(settings.intake_hold_lag_s)
        self._waits = settings.intake_hold_lag_s > 0 and settings.clock == "wall" and failpoints.waits_for_intake()
        self._needed = self._waits  # False while there is no intake, or it is not visible to this user
        self._unmapped: dict[Place, int] = {}
        self._places: list[Place] = []
        self._refreshed_at_s = float("-inf")
        self._warned_at_s, self._has_warned_not_visible = float("-inf"), False
        self._ended = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Starts the thread if anything has to wait; a second call does nothing."""
        if self._waits and self._thread is None:
            self._thread = Thread(target=self._watch, name="intake-watch", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ends the thread, without waiting for a request to the broker that is in progress."""
        self._ended.set()

    def allows(self, horizon_s: float) -> bool:
        """Returns whether a lane that has read `customer.events` up to `horizon_s` (monotonic) has seen all that shops sent."""
        return not self._needed or self._until.allows(horizon_s, clock.monotonic_s() - self._hold_lag_s)

    def _watch(self) -> None:
        admin, pause_s = AdminClient(dict(self._config)), 0.0
        began_s = clock.monotonic_s()
        while not self._ended.wait(pause_s):
            pause_s = _CHECK_INTERVAL_S
            try:
                self._needed = self._check(admin)
            except (KafkaException, Unavailable) as error:
                log.debug("cannot read the progress of intake: %s", error)  # the known state ages, and publishing waits
            except _NotVisible as error:
                self._needed, pause_s = False, _RETRY_INTERVAL_S
                self._warn_not_visible(str(error))
            except Exception:  # if the watch ended, everything would be held up forever
                pause_s = _RETRY_INTERVAL_S
                log.exception("cannot read the progress of intake; publishing waits")
            lag_s = clock.monotonic_s() - max(self._until.until_s, began_s) if self._needed else 0.0
            self._metrics.gauge("intake_lag_seconds", lag_s)
            if lag_s > self._hold_lag_s:
                self._warn_lag(lag_s)
        self._group_offsets.close()

    def _check(self, admin: AdminClient) -> bool:
        """Checks once; False = there is no intake to wait for. Reads ends first, so that the applied offsets cover them."""
        # Unless this check succeeds, the next one looks up the partitions again.
        places, self._places = self._places, []
        if not places or clock.monotonic_s() >= self._refreshed_at_s + _REFRESH_INTERVAL_S:
            places, self._refreshed_at_s = self._all_places(admin), clock.monotonic_s()
        if not places:
            return False
        requested_at_s = clock.monotonic_s()
        ends = self._offsets(admin, places, _LATEST)
        applied = self._applied()
        if begun := [place for place, end in ends.items() if applied.get(place, 0) < end]:
            firsts = self._offsets(admin, begun, _EARLIEST)  # what retention has deleted is never mapped
            applied |= {place: max(applied.get(place, 0), first) for place, first in firsts.items()}
        self._unmapped = {place: left for place, end in ends.items() if (left := end - applied.get(place, 0)) > 0}
        self._until.observe(requested_at_s, ends, clock.monotonic_s(), applied)
        self._places = places
        return True

    def _all_places(self, admin: AdminClient) -> list[Place]:
        """Returns every partition of the topics that intake has begun to map; [] if there is no intake. Raises _NotVisible."""
        topics = {topic for topic, _ in self._applied()}
        if not topics:
            return []
        try:
            numbers = partitions_of(admin, sorted(topics))
        except Misconfigured as error:
            raise _NotVisible(str(error)) from error
        if hidden := topics - numbers.keys():
            raise _NotVisible(f"{', '.join(sorted(hidden))} does not exist, or this user may not see it")
        return [(topic, number) for topic in numbers for number in numbers[topic]]

    def _applied(self) -> dict[Place, int]:
        """Returns intake's committed offsets; {} if the group does not exist.

        Raises _NotVisible without the permission to see them.
        """
        try:
            return self._group_offsets.read()
        except Misconfigured as error:
            raise _NotVisible(str(error)) from error

    def _offsets(self, admin: AdminClient, places: list[Place], spec: OffsetSpec) -> dict[Place, int]:
        """Returns offsets including those of open transactions: their records are on their way, too."""
        requests = {TopicPartition(*place): spec for place in places}
        level = IsolationLevel.READ_UNCOMMITTED
        futures = admin.list_offsets(requests, isolation_level=level, request_timeout=_TIMEOUT_S)
        return {(found.topic, found.partition): future.result().offset for found, future in futures.items()}

    def _warn_lag(self, lag_s: float) -> None:
        """Logs the lag, at most once a minute."""
        if clock.monotonic_s() < self._warned_at_s + _WARN_INTERVAL_S:
            return
        self._warned_at_s = clock.monotonic_s()
        (topic, partition), left = max(self._unmapped.items(), key=lambda item: item[1], default=(("?", 0), 0))
        log.warning(
            "timers wait for intake: events of the last %.0f s are not mapped yet, among them %d records of %s[%d]. Hint: "
            "is intake running? If that topic is no longer mapped, delete its offsets from the group %s; "
            "ATTUNE_INTAKE_HOLD_LAG_S=0 turns the wait off (docs/operation.md)",
            *(lag_s, left, topic, partition, self._group),
        )

    def _warn_not_visible(self, what: str) -> None:
        """Logs the missing permission once."""
        if not self._has_warned_not_visible:
            self._has_warned_not_visible = True
            log.warning("timers do not wait for intake: %s. Hint: grant this user Describe (docs/operation.md)", what)


class _NotVisible(Exception):
    """Raised for a group or topic that this user may not see: then nothing can wait for it."""
