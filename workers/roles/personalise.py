"""Assembles the role `personalise`: one lane per partition over events, candidates, feedback and verdicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import faust

from workers.adapters.kafka.partitioner import partition_of
from workers.adapters.lanes.manager import lanes_app
from workers.adapters.lanes.spec import LaneSpec
from workers.adapters.observability.metrics import WorkerMetrics
from workers.adapters.process.liveness import Liveness
from workers.core.decisioning.control_state import ControlState
from workers.core.partition import keys
from workers.core.partition.timers import index_keys
from workers.core.personalisation.processor import (
    CANDIDATES,
    EVENTS,
    FEEDBACK,
    VERDICTS,
    PersonalisationConfig,
    PersonalisationProcessor,
)
from workers.core.playbook.playbook import Playbook
from workers.core.profile import model as profiles
from workers.core.stream.effects import Processor
from workers.core.stream.published_ids import LEDGER
from workers.core.stream.records import StateStore
from workers.settings import Settings

ROLE = "personalise"
CHANGELOG = "personalise-state"


def build(
    settings: Settings,
    playbook: Playbook,
    control: Callable[[], ControlState],
    client_config: Mapping[str, str | int],
    metrics: WorkerMetrics,
    liveness: Liveness,
) -> faust.App:
    """Builds the app of this role. `control` returns the current switches and snapshots."""
    return lanes_app(lane_spec(settings, playbook, control), settings, client_config, metrics, liveness)


def lane_spec(settings: Settings, playbook: Playbook, control: Callable[[], ControlState]) -> LaneSpec:
    """Returns the lane specification of personalise."""
    config = PersonalisationConfig(
        clock=settings.clock,
        partition_of=lambda key: partition_of(key, settings.partitions),
        salt=f"{settings.prefix}{settings.seed}",
        seed=str(settings.seed),
        lanes=settings.partitions,
        presumed=frozenset(settings.grant),
        cache_size=settings.profile_cache,
    )

    def core(store: StateStore, clock_s: float) -> Processor:
        return PersonalisationProcessor(config, playbook, store, clock_s, control)

    return LaneSpec(
        role=ROLE,
        group=settings.prefix + ROLE,
        sources=(EVENTS, CANDIDATES, FEEDBACK, VERDICTS),
        changelog=CHANGELOG,
        lane_of=lambda _topic, partition: str(partition),
        core=core,
        index_of=timer_index,
        paced_by=(EVENTS, FEEDBACK),
        waits_for=CANDIDATES,
        ledger=LEDGER,
        left_in=("customer.profiles", *LEDGER),
    )


def timer_index(key: bytes, value: bytes) -> list[bytes]:
    """Returns the timer index entries derived from a state record: those of a hot profile."""
    return index_keys(profiles.decode(value)) if key.startswith(keys.PROFILE) else []
