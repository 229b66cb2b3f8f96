"""The composition root: builds a role from settings, with every outside dependency passed in, and runs it."""

from __future__ import annotations

import logging
from pathlib import Path

import faust
import mode.loop

from workers.adapters.kafka_config import client_config
from workers.adapters.language import detector
from workers.adapters.llm import OpenAiModel
from workers.adapters.metrics import WorkerMetrics
from workers.adapters.playbook_files import load as load_playbook
from workers.agents import generate, intake, personalise
from workers.agents.apps import Worker
from workers.agents.writer import Writer
from workers.core.acceleration import accelerate
from workers.errors import Misconfigured
from workers.settings import Settings

ROLES = (intake.ROLE, personalise.ROLE, generate.ROLE)


def build(role: str, settings: Settings, metrics: WorkerMetrics) -> faust.App:
    """The app of a role. `settings.brokers` is an address and `settings.llm` a URL by now (workers.adapters.servers)."""
    config = client_config(settings)
    if role == intake.ROLE:
        return intake.build(settings, config, metrics)
    playbook = accelerate(load_playbook(Path(settings.playbook)), settings.speedup)
    if role == personalise.ROLE:
        return personalise.build(settings, playbook, config, metrics)
    if role == generate.ROLE:
        model = OpenAiModel(settings)
        return generate.build(settings, Writer(settings, playbook, model, detector(playbook.languages), metrics), metrics)
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
    logging.getLogger(__name__).info("metrics on http://127.0.0.1:%d/metrics", port)
    mode.loop.use("uvloop")
    app = build(role, settings, metrics)
    Worker(app, quiet=True, redirect_stdouts=False).execute_from_commandline()
