"""Builds a role from settings, passes in every external dependency, and runs it: the composition root."""

from __future__ import annotations

import faulthandler
import gc
import logging
import os
import platform
import signal
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import TYPE_CHECKING, NoReturn

import faust
import mode.loop

from workers.adapters.delivery_channels import ports
from workers.adapters.kafka.broadcast_state import Follower, follow_pool
from workers.adapters.kafka.config import client_config
from workers.adapters.lanes.faust_app import Worker
from workers.adapters.observability import logs
from workers.adapters.observability.metrics import WorkerMetrics
from workers.adapters.playbook.loader import load_for as load_playbook
from workers.adapters.process import clock, failpoints
from workers.adapters.process.exit_codes import Exit
from workers.adapters.process.liveness import Liveness
from workers.adapters.process.termination import end_at_once
from workers.adapters.process.watchdog import Watchdog
from workers.core.errors import Misconfigured
from workers.core.generation.llm import LanguageModel
from workers.core.generation.pool.entries import ApprovedTexts
from workers.core.playbook.playbook import Playbook
from workers.core.playbook.time_scaling import accelerate
from workers.private_files import UMASK
from workers.roles import deliver, intake, learn, personalise
from workers.settings import Settings

if TYPE_CHECKING:
    from workers.roles.text_writer import Writer

ROLES = ("intake", "personalise", "generate", "learn")
log = logging.getLogger(__name__)


def build(role: str, settings: Settings, metrics: WorkerMetrics, liveness: Liveness) -> faust.App:
    """Builds the app of a role.

    Servers to be started here must already be replaced by their addresses (local.servers): `settings.brokers` is an address,
    `settings.llm.server` a URL or `off`.
    """
    match role:
        case "intake":
            return intake.build(settings, client_config(settings), metrics, liveness)
        case "personalise":
            return _personalise(settings, metrics, liveness)
        case "generate":
            return _generate(settings, metrics, liveness)
        case "learn":
            return learn.build(
                settings, _playbook(settings).policy.learning, client_config(settings), metrics, liveness
            )
        case _:
            raise Misconfigured(f"there is no role {role!r}.", f"use one of: {', '.join(ROLES)}")


def run(role: str, settings: Settings) -> None:
    """Runs one role until SIGTERM or SIGINT; exits the process with a code of adapters.process.exit_codes."""
    os.umask(UMASK)  # state and ledgers contain customer data: only this user may read them
    faulthandler.enable()  # a crash in C code then writes the stacks of all threads to the log
    logs.configure(role, settings.log_level, settings.log_format)
    failpoints.arm(os.environ.get("ATTUNE_FAILPOINTS", ""))
    metrics, liveness = WorkerMetrics(), Liveness()
    metrics.gauge("build_info", 1.0, role, version("attune"), platform.python_version())
    port = metrics.serve(liveness, settings.metrics.ports[role], settings.metrics.host)
    log.info("metrics on http://%s:%d/metrics", settings.metrics.host, port)
    # Used until the worker sets its own handler; nothing is open yet.
    signal.signal(signal.SIGTERM, lambda *_: end_at_once(Exit.OK))
    if role == deliver.ROLE:
        _deliver(settings, metrics, liveness)
    mode.loop.use("uvloop")
    app = build(role, settings, metrics, liveness)
    # Cached profiles are many, long-lived and acyclic: garbage collection over them would cost a third of the time.
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    Worker(app, watchdog=_watchdog(role, settings, liveness)).execute_from_commandline()


def _deliver(settings: Settings, metrics: WorkerMetrics, liveness: Liveness) -> NoReturn:
    """Runs `deliver` without Faust, because each channel waits for its server in its own thread."""
    watchdog = _watchdog(deliver.ROLE, settings, liveness)
    role = deliver.build(settings, ports(settings), client_config(settings), metrics, liveness, clock.utc_now)

    def stop(*_: object) -> None:
        watchdog.stopping()
        role.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    watchdog.watch(None)
    sys.exit(role.run())


def _watchdog(role: str, settings: Settings, liveness: Liveness) -> Watchdog:
    """Builds the watchdog of a role. `generate` and `deliver` get extra time: a text may take until the LLM's deadline, and an
    e-mail waits for several replies of its server.
    """
    extra_s = {"generate": settings.llm.deadline_s, deliver.ROLE: 8 * settings.deliver.timeout_s}.get(role, 0.0)
    return Watchdog(
        liveness,
        loop_limit_s=settings.session_timeout_s / 2,
        stall_limit_s=extra_s + settings.stall_timeout_s,
        stop_limit_s=settings.stop_timeout_s,
    )


def _playbook(settings: Settings) -> Playbook:
    return accelerate(load_playbook(settings), settings.speedup)


def _personalise(settings: Settings, metrics: WorkerMetrics, liveness: Liveness) -> faust.App:
    """Builds `personalise` after reading the pause switches, so that a paused system stays paused after a restart."""
    playbook, follower = _playbook(settings), Follower(settings)
    follower.start()
    return personalise.build(settings, playbook, lambda: follower.current, client_config(settings), metrics, liveness)


def writer(
    settings: Settings,
    playbook: Playbook,
    model: LanguageModel,
    metrics: WorkerMetrics,
    approved: Callable[[], ApprovedTexts] | None = None,
) -> Writer:
    """Builds the text writer, for `generate` and for commands that write texts. `approved` returns the pool's approved texts."""
    # The models of the guardrails take memory and a second to import: only roles and commands that generate texts import them.
    from workers.adapters.claims.models import load_models  # noqa: PLC0415
    from workers.core.generation.pool.selection import Pooled  # noqa: PLC0415
    from workers.roles.text_writer import Writer  # noqa: PLC0415

    models = load_models(playbook)
    pooled = Pooled(playbook, approved, models) if approved is not None else None
    return Writer(settings, playbook, model, models, metrics, pooled)


def _generate(settings: Settings, metrics: WorkerMetrics, liveness: Liveness) -> faust.App:
    from workers.adapters.llm.client import NoModel, OpenAiModel  # noqa: PLC0415
    from workers.roles import generate  # noqa: PLC0415

    playbook = _playbook(settings)
    model = NoModel() if settings.llm.server == "off" else OpenAiModel(settings, metrics)
    text_writer = writer(settings, playbook, model, metrics, _approved_texts(settings, playbook))
    return generate.build(settings, text_writer, model, metrics, liveness)


def _approved_texts(settings: Settings, playbook: Playbook) -> Callable[[], ApprovedTexts] | None:
    """Follows the pool if a campaign uses it; the approved texts are read before the first request. None = not used."""
    if all(campaign.strategy != "pooled" for campaign in playbook.campaigns.values()):
        return None
    pool = follow_pool(settings)
    pool.start()
    return lambda: pool.current
