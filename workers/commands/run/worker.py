"""`attune worker ROLE`: runs one role in the foreground, against servers that are already running."""

from __future__ import annotations

import click

from workers.commands.terminal import one_line_errors
from workers.core.errors import Misconfigured
from workers.local.installation import on_installation
from workers.settings import Settings


@click.command()
@click.argument("role", type=click.Choice(["intake", "personalise", "generate", "learn", "deliver"]))
@one_line_errors
@on_installation
def worker(settings: Settings, role: str) -> None:
    """Run one role in the foreground until SIGTERM.

    Kafka and the LLM must be running: ATTUNE_BROKERS and ATTUNE_LLM must be addresses (ATTUNE_LLM may be `off`).
    """
    if settings.brokers == "embedded":
        raise Misconfigured(
            "a single worker needs a running Kafka.", "set ATTUNE_BROKERS=host:port, or use `attune up`"
        )
    if role == "generate" and settings.llm.server in ("embedded", "vllm-cpu"):
        raise Misconfigured(
            "generate needs a running LLM.", "set ATTUNE_LLM=http://host:port or ATTUNE_LLM=off, or use `attune up`"
        )
    from workers.main import run  # noqa: PLC0415 # Faust takes a second to import; --help must not wait for it

    run(role, settings)
