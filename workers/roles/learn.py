"""Assembles the role `learn`: one lane per partition over decisions, outcomes, feedback and events."""

from __future__ import annotations

from collections.abc import Mapping

import faust

from workers.adapters.kafka.partitioner import partition_of
from workers.adapters.lanes.manager import lanes_app
from workers.adapters.lanes.spec import LaneSpec
from workers.adapters.observability.metrics import WorkerMetrics
from workers.adapters.process.liveness import Liveness
from workers.core.attribution.processor import (
    DECISIONS,
    EVENTS,
    FEEDBACK,
    OUTCOMES,
    AttributionConfig,
    AttributionProcessor,
)
from workers.core.attribution.unit_of_work import index_keys
from workers.core.playbook.policy import Learning
from workers.core.stream.effects import Processor
from workers.core.stream.records import StateStore
from workers.settings import Settings

ROLE = "learn"
CHANGELOG = "learn-state"
SOURCES = (DECISIONS, OUTCOMES, FEEDBACK, EVENTS)


def build(
    settings: Settings,
    learning: Learning,
    client_config: Mapping[str, str | int],
    metrics: WorkerMetrics,
    liveness: Liveness,
) -> faust.App:
    """Builds the app of this role. `learning`: that part of the playbook's policy."""
    return lanes_app(lane_spec(settings, learning), settings, client_config, metrics, liveness)


def lane_spec(settings: Settings, learning: Learning) -> LaneSpec:
    """Returns the lane specification of learn. Timers wait for every source's backlog: no result is sealed before it is read."""
    config = AttributionConfig(
        clock=settings.clock,
        partition_of=lambda key: partition_of(key, settings.partitions),
        snapshot_interval_s=settings.snapshot_interval_s,
        cache_size=settings.profile_cache,
    )

    def core(store: StateStore, clock_s: float) -> Processor:
        return AttributionProcessor(config, learning, store, clock_s)

    return LaneSpec(
        role=ROLE,
        group=settings.prefix + ROLE,
        sources=SOURCES,
        changelog=CHANGELOG,
        lane_of=lambda _topic, partition: str(partition),
        core=core,
        index_of=index_keys,
        paced_by=SOURCES,
        left_in=("feedback.metrics",),
    )
