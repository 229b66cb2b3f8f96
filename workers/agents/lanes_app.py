"""Runs the lanes of a role under Faust's assignment."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import faust

from workers.adapters.faust_lanes import LaneTransport
from workers.adapters.lanes import FetchedRecord, Lane, LaneSpec, Positions, TopicPartitionKey
from workers.adapters.metrics import WorkerMetrics
from workers.agents.apps import make_app, raw_topic
from workers.settings import Settings


class Lanes:
    """The open lanes of this process. A lane is (re)opened at every assignment, and closed before partitions go."""

    def __init__(
        self, spec: LaneSpec, settings: Settings, client_config: Mapping[str, str | int], metrics: WorkerMetrics
    ) -> None:
        self._spec = spec
        self._settings = settings
        self._client_config = client_config
        self._metrics = metrics
        self._by_source: dict[TopicPartitionKey, Lane] = {}
        self._running: dict[Lane, asyncio.Task[None]] = {}
        self._positions: Positions | None = None

    def open(self, assigned: set[TopicPartitionKey], positions: Positions) -> None:
        """Opens a lane for each group of partitions that belong together."""
        self._positions = positions
        groups: dict[str, list[TopicPartitionKey]] = {}
        for source in sorted(assigned):
            groups.setdefault(self._spec.lane_of(*source), []).append(source)
        for name, sources in groups.items():
            lane = Lane(name, sources, self._spec, self._settings, self._client_config, positions, self._metrics)
            self._by_source.update(dict.fromkeys(sources, lane))
            self._running[lane] = asyncio.create_task(lane.run(), name=f"lane {name}")
        self._metrics.gauge("lanes", len(self._running), self._spec.role)

    async def close(self) -> None:
        """Every lane finishes its transaction; then none is left."""
        running, self._running, self._by_source = self._running, {}, {}
        for lane in running:
            lane.close()
        if running:
            await asyncio.gather(*running.values())
            await self._hint(running)
        self._metrics.gauge("lanes", 0, self._spec.role)

    def wants(self, source: TopicPartitionKey) -> bool:
        """Whether records of this source may be fetched now."""
        lane = self._by_source.get(source)
        return lane is not None and lane.wants(source)

    def deliver(self, source: TopicPartitionKey, batch: Sequence[FetchedRecord]) -> None:
        """Hands fetched records to their lane. Without one they are fetched again by whoever opens it."""
        lane = self._by_source.get(source)
        if lane is not None and lane.ready:
            lane.deliver(source, batch)

    async def hint(self) -> None:
        """Tells the group how far the lanes are."""
        await self._hint(self._running)

    async def _hint(self, lanes: Mapping[Lane, object]) -> None:
        offsets = {source: offset for lane in lanes for source, offset in lane.hints().items()}
        if offsets and self._positions is not None:
            await self._positions.commit_hint(offsets)


def lanes_app(
    spec: LaneSpec, settings: Settings, client_config: Mapping[str, str | int], metrics: WorkerMetrics
) -> faust.App:
    """A Faust app whose assigned partitions feed lanes."""
    app = make_app(settings, spec.role, LaneTransport, wait_empty=False)
    lanes = Lanes(spec, settings, client_config, metrics)
    app.lanes = lanes  # type: ignore[attr-defined] # where adapters.faust_lanes.LaneConsumer finds it
    for source in spec.sources:
        app.topics.add(raw_topic(app, settings.topic(source)))

    app.timer(settings.commit_interval_s)(lanes.hint)
    return app
