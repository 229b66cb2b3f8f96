"""The composition root: builds a role from settings, with every outside dependency passed in, and runs it."""

from __future__ import annotations

import logging
from pathlib import Path

import faust
import mode.loop

from workers.adapters.kafka_config import client_config
from workers.adapters.metrics import WorkerMetrics
from workers.adapters.playbook_files import load as load_playbook
from workers.agents import intake, personalise
from workers.agents.apps import Worker
from workers.core.acceleration import accelerate
from workers.core.playbook import Playbook
from workers.errors import Misconfigured
from workers.settings import Settings

ROLES = ("intake", "personalise", "generate")
log = logging.getLogger(__name__)


def build(role: str, settings: Settings, metrics: WorkerMetrics) -> faust.App:
    """The app of a role. `settings.brokers` is an address and `settings.llm` a URL by now (adapters.servers)."""
    match role:
        case "intake":
            return intake.build(settings, client_config(settings), metrics)
        case "personalise":
            return personalise.build(settings, _playbook(settings), client_config(settings), metrics)
        case "generate":
            return _generate(settings, metrics)
        case _:
            raise Misconfigured(f"there is no role {role!r}.", f"one of: {', '.join(ROLES)}")


def run(role: str, settings: Settings) -> None:
    """Runs one role until SIGTERM or SIGINT; exits the process."""
    logging.basicConfig(
        level=settings.log_level.upper(), format=f"%(asctime)s {role} %(levelname)s %(name)s: %(message)s", force=True
    )
    for noisy in ("aiokafka", "faust", "mode", "asyncio", "kafka"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    metrics = WorkerMetrics()
    port = metrics.serve(getattr(settings, f"metrics_port_{role}"))
    log.info("metrics on http://127.0.0.1:%d/metrics", port)
    mode.loop.use("uvloop")
    app = build(role, settings, metrics)
    Worker(app, quiet=True, redirect_stdouts=False).execute_from_commandline()


def _playbook(settings: Settings) -> Playbook:
    return accelerate(load_playbook(Path(settings.playbook)), settings.speedup)


def _generate(settings: Settings, metrics: WorkerMetrics) -> faust.App:
    # Language models and HTTP take memory and a second to import: only this role pays for them.
    from workers.adapters.language import detector  # noqa: PLC0415
    from workers.adapters.llm import OpenAiModel  # noqa: PLC0415
    from workers.agents import generate  # noqa: PLC0415
    from workers.agents.writer import Writer  # noqa: PLC0415

    playbook, model = _playbook(settings), OpenAiModel(settings)
    writer = Writer(settings, playbook, model, detector(playbook.languages), metrics)
    return generate.build(settings, writer, model, metrics)
