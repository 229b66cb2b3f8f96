"""The context shared by the lanes of a process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from workers.adapters.lanes.pacing import CommitPacing
from workers.adapters.lanes.spec import LaneSpec
from workers.adapters.lanes.standby import Standby
from workers.adapters.observability.metrics import WorkerMetrics
from workers.adapters.process.liveness import Liveness
from workers.settings import Settings


class LaneContext(msgspec.Struct, frozen=True, kw_only=True):
    """Settings and services of all lanes of a process.

    `restores` limits how many lanes restore at a time. `source_ids` returns the topic IDs of the sources, at most the given
    number of seconds old (topic_ids.SourceIds). `mapped` returns whether a lane that has read `customer.events` up to a
    given time has seen everything that shops have sent (intake_watch.IntakeWatch).
    """

    spec: LaneSpec
    settings: Settings
    client_config: Mapping[str, str | int]
    metrics: WorkerMetrics
    liveness: Liveness
    standby: Standby
    restores: asyncio.Semaphore
    pacing: CommitPacing
    source_ids: Callable[[float], Mapping[str, str]] = lambda _age_s: {}
    mapped: Callable[[float], bool] = lambda _horizon_s: True
