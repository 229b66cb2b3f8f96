"""Opens, feeds and closes the lanes of a role as Faust assigns partitions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from functools import partial

import faust

from workers.adapters.kafka.preflight import check_broker
from workers.adapters.kafka.topic_ids import SourceIds
from workers.adapters.lanes.buffer import FetchedRecord
from workers.adapters.lanes.context import LaneContext
from workers.adapters.lanes.faust_app import make_app, raw_topic
from workers.adapters.lanes.faust_transport import LaneTransport
from workers.adapters.lanes.intake_watch import IntakeWatch
from workers.adapters.lanes.lane import EVENTS, Lane
from workers.adapters.lanes.pacing import CommitPacing
from workers.adapters.lanes.positions import Positions
from workers.adapters.lanes.spec import LaneSpec, TopicPartitionKey
from workers.adapters.lanes.standby import Standby
from workers.adapters.observability.metrics import WorkerMetrics
from workers.adapters.process import clock
from workers.adapters.process.exit_codes import Exit
from workers.adapters.process.liveness import ASSIGNMENT, Liveness
from workers.adapters.process.termination import end_at_once
from workers.core.errors import Misconfigured, Unavailable
from workers.settings import Settings

log = logging.getLogger(__name__)

_FETCHING = "fetching"
#: Maximum number of lanes that restore at a time: each holds a reader's buffers, and they share one disk.
_MAX_RESTORES = 8
#: Interval of the check that the sources are still the same topics [s].
_CHECK_INTERVAL_S = 5.0
#: Minimum interval between requests for a new assignment [s].
_REJOIN_INTERVAL_S = 20.0


class Lanes:
    """The open lanes of this process.

    Before a rebalance all are held: no transaction runs while partitions change hands. After it, those that kept their
    partitions continue, the others are closed, and new ones are opened, all concurrently.
    """

    def __init__(
        self,
        spec: LaneSpec,
        settings: Settings,
        client_config: Mapping[str, str | int],
        metrics: WorkerMetrics,
        liveness: Liveness,
    ) -> None:
        self._spec = spec
        self._settings = settings
        self._client_config = client_config
        self._metrics = metrics
        self._liveness = liveness
        self._standby = Standby(spec, settings, client_config, metrics)
        self._by_source: dict[TopicPartitionKey, Lane] = {}
        self._running: dict[Lane, asyncio.Task[None]] = {}
        self._ending: dict[str, asyncio.Task[None]] = {}
        self._positions: Positions | None = None
        self._pacing = CommitPacing()
        self._intake = IntakeWatch(settings, client_config, metrics)
        self._source_ids = SourceIds(client_config, map(settings.topic, spec.sources))
        self._context = LaneContext(
            spec=spec,
            settings=settings,
            client_config=client_config,
            metrics=metrics,
            liveness=liveness,
            standby=self._standby,
            restores=asyncio.Semaphore(_MAX_RESTORES),
            pacing=self._pacing,
            source_ids=self._source_ids.current,
            mapped=self._intake.allows,
        )
        self._rejoined_s = float("-inf")
        self._closed = False

    def open(self, assigned: set[TopicPartitionKey], positions: Positions) -> None:
        """Ensures that there is exactly one lane for each group of partitions that belong together."""
        if self._closed:  # called after the stop was requested: nothing would close these lanes
            return
        self._positions = positions
        self._standby.start()
        if EVENTS in self._spec.paced_by:
            self._intake.start()
        groups: dict[str, list[TopicPartitionKey]] = {}
        for source in sorted(assigned):
            groups.setdefault(self._spec.lane_of(*source), []).append(source)
        for lane in [lane for lane in self._running if groups.get(lane.name) != lane.sources]:
            lane.close()
            self._ending[lane.name] = self._running.pop(lane)
        self._by_source = {}
        kept = {lane.name: lane for lane in self._running}
        for name, sources in groups.items():
            lane = kept.get(name) or self._new(name, sources, positions)
            lane.release(positions)
            self._by_source.update(dict.fromkeys(sources, lane))
        self._metrics.gauge("lanes", len(self._running), self._spec.role)
        self._liveness.awaits(ASSIGNMENT, "")
        if groups:
            self._liveness.working(_FETCHING)

    def _new(self, name: str, sources: list[TopicPartitionKey], positions: Positions) -> Lane:
        lane = Lane(name, sources, positions, self._context)
        self._running[lane] = asyncio.create_task(self._run(lane), name=f"lane {name}")
        return lane

    async def _run(self, lane: Lane) -> None:
        """Runs a lane once its predecessor in this process has released the local state."""
        predecessor = self._ending.pop(lane.name, None)
        if predecessor is not None:
            await predecessor
        await lane.run()

    async def hold(self) -> None:
        """Lets every lane finish its transaction; lanes write nothing more until `open` decides who owns them."""
        self._stop_fetching()
        await asyncio.gather(*(lane.hold() for lane in self._running))
        await self._hint(self._running)

    async def close(self) -> None:
        """Lets every lane finish its transaction and closes all."""
        self._closed = True
        self._stop_fetching()
        running, self._running, self._by_source = self._running, {}, {}
        for lane in running:
            lane.close()
        await asyncio.gather(*running.values(), *self._ending.values())
        await self._hint(running)
        self._intake.stop()
        await asyncio.to_thread(self._standby.close)
        self._metrics.gauge("lanes", 0, self._spec.role)

    def _stop_fetching(self) -> None:
        """Stops fetching until the next assignment."""
        self._liveness.awaits(ASSIGNMENT, "being handed over")
        self._liveness.idle(_FETCHING)

    def wants(self, source: TopicPartitionKey) -> bool:
        """Returns whether records of this source may be fetched now."""
        self._liveness.beat(_FETCHING)
        lane = self._by_source.get(source)
        return lane is not None and lane.wants(source)

    def deliver(self, source: TopicPartitionKey, batch: Sequence[FetchedRecord]) -> None:
        """Hands fetched records to their lane. If there is none, the worker that opens it fetches them again."""
        lane = self._by_source.get(source)
        if lane is not None and lane.ready:
            lane.deliver(source, batch)

    @property
    def gather_s(self) -> float:
        """See adapters.lanes.pacing.CommitPacing."""
        return self._pacing.gather_s

    @property
    def hold_lag_s(self) -> float:
        """The maximum lag at which a lane still counts as caught up [s]."""
        return self._settings.timer_hold_lag_s

    async def check_sources(self) -> None:
        """Detects sources that were deleted and recreated.

        If an open lane has the source, this ends the process: the next start works out where to begin. If no lane has it, the
        group only needs a new assignment now that the topic exists again.
        """
        try:
            found = await asyncio.to_thread(self._source_ids.current)
        except (Unavailable, Misconfigured):
            return  # nothing can be fetched either, and the fetch logs the reason
        recreated, open_ = self._source_ids.recreated(), {topic for lane in self._running for topic, _ in lane.sources}
        if under_lanes := [topic for topic in recreated if topic in open_]:
            log.critical(
                "%s was deleted and recreated: the worker exits, and the next start reads it from the beginning",
                ", ".join(under_lanes),
            )
            end_at_once(Exit.SOFTWARE)
        # With a changelog a lane combines several topics: if it has one of them, it has them all.
        back = recreated or [
            topic for topic in found if open_ and self._spec.changelog is not None and topic not in open_
        ]
        if back and self._positions is not None and clock.monotonic_s() >= self._rejoined_s + _REJOIN_INTERVAL_S:
            log.warning("%s exists again, but no lane has it: requesting a new assignment", ", ".join(back))
            self._rejoined_s = clock.monotonic_s()
            self._source_ids.accept()
            self._positions.rejoin()

    async def hint(self) -> None:
        """Commits the lanes' progress to the group, for monitors."""
        await self._hint(self._running)

    async def _hint(self, lanes: Mapping[Lane, object]) -> None:
        offsets = {source: offset for lane in lanes for source, offset in lane.hints().items()}
        if offsets and self._positions is not None:
            await self._positions.commit_hint(offsets)


def lanes_app(
    spec: LaneSpec,
    settings: Settings,
    client_config: Mapping[str, str | int],
    metrics: WorkerMetrics,
    liveness: Liveness,
) -> faust.App:
    """Returns a Faust app whose assigned partitions feed lanes. Raises Misconfigured if the cluster does not fit the role."""
    check_broker(settings, client_config, spec.role, spec.sources, spec.changelog)
    lanes = Lanes(spec, settings, client_config, metrics, liveness)
    app = make_app(settings, spec.role, partial(LaneTransport, lanes=lanes), wait_empty=False)
    for source in spec.sources:
        app.topics.add(raw_topic(app, settings.topic(source)))

    app.timer(settings.commit_interval_s)(lanes.hint)
    app.timer(_CHECK_INTERVAL_S)(lanes.check_sources)
    return app
