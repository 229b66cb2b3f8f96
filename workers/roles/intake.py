"""Assembles the role `intake`: one lane per partition of each source topic."""

from __future__ import annotations

from collections.abc import Mapping

import faust

from workers.adapters.lanes.manager import lanes_app
from workers.adapters.lanes.spec import LaneSpec
from workers.adapters.observability.metrics import WorkerMetrics
from workers.adapters.process.liveness import Liveness
from workers.core.intake.mapping import Intake
from workers.core.intake.processor import IntakeProcessor
from workers.settings import Settings

ROLE = "intake"


def build(
    settings: Settings, client_config: Mapping[str, str | int], metrics: WorkerMetrics, liveness: Liveness
) -> faust.App:
    """Builds the app of this role. Progress is stored as group offsets, as source topics have any number of partitions."""
    spec = LaneSpec(
        role=ROLE,
        group=settings.prefix + ROLE,
        sources=settings.source_topics,
        changelog=None,
        lane_of=lambda topic, partition: f"{topic}-{partition}",
        core=lambda _store, _clock_s: IntakeProcessor(Intake(settings.source_format)),
    )
    return lanes_app(spec, settings, client_config, metrics, liveness)
