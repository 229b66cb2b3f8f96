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
from workers.commands.terminal import one_line_errors, print_progress, stopping
from workers.core.errors import Misconfigured, Unavailable
from workers.local.installation import Where, installation_options
from workers.local.servers import servers
from workers.local.supervisor import Supervisor
from workers.private_files import new_folder, private_open
from workers.settings import Settings
from workers.settings_loader import load

ROLES = ("intake", "personalise", "generate", "learn")
#: Runs by default only if a destination is configured for it.
DELIVER = "deliver"
_POLL_INTERVAL_S = 0.5


@click.command()
@click.option(
    "--roles",
    help=f"Roles to run, comma-separated. Default: {','.join(ROLES)}, and {DELIVER} if a channel has a destination.",
)
@click.option("--llm", help="LLM to use: embedded, vllm-cpu, off or a URL. Default: ATTUNE_LLM.")
@click.option("--playbook", type=click.Path(path_type=Path), help="Playbook folder. Default: ATTUNE_PLAYBOOK.")
@installation_options()
@one_line_errors
def up(roles: str | None, llm: str | None, playbook: Path | None, **where: Unpack[Where]) -> None:
    """Start all roles on this machine and supervise them until SIGINT or SIGTERM.

    Kafka and the LLM are started as well, unless the settings name running servers.
    """
    settings = load(llm=llm, playbook=str(playbook) if playbook else None, **where)
    names = _roles(roles, settings)
    load_playbook(settings)  # reports mistakes before anything starts
    if DELIVER in names:
        ports(settings)  # reports mistakes as well
    with stopping() as stop, pid_file(settings), servers(settings, print_progress, llm="generate" in names) as running:
        llm = "no LLM, templates only" if running.llm.server == "off" else f"LLM at {running.llm.server}"
        print_progress(f"Kafka at {running.brokers}, {llm}")
        with Supervisor(running, names) as supervisor:
            print_progress(f"running {', '.join(names)}; logs in {Path(running.data_dir) / 'logs'}")
            while not stop.requested:
                for line in supervisor.poll():
                    print_progress(line)
                time.sleep(_POLL_INTERVAL_S)


def _roles(text: str | None, settings: Settings) -> tuple[str, ...]:
    if text is None:
        return (*ROLES, DELIVER) if configured(settings) else ROLES
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names or set(names) - {*ROLES, DELIVER}:
        raise Misconfigured(
            f"--roles {text!r} names an unknown role, or none.", f"use some of: {', '.join((*ROLES, DELIVER))}"
        )
    return names


@click.command()
@installation_options("data_dir")
@one_line_errors
def down(data_dir: str | None) -> None:
    """Stop the `attune up` that is running on this data folder, and wait until it has ended."""
    path = _pid_path(load(data_dir=data_dir))
    pid = _running(path)
    if pid is None:
        print_progress("nothing is running on this data folder")
        return
    os.kill(pid, signal.SIGTERM)
    ends_at_s = time.monotonic() + 60.0
    while _running(path) is not None:
        if time.monotonic() > ends_at_s:
            raise Unavailable(f"process {pid} does not stop.", f"inspect it; `kill -9 {pid}` loses no committed data")
        time.sleep(0.1)
    print_progress("stopped")


@contextmanager
def pid_file(settings: Settings) -> Iterator[None]:
    """Holds the folder's `up.pid` inside the block, so that a second process is refused. The lock ends with the process."""
    path = _pid_path(settings)
    new_folder(path.parent)
    with private_open(path, "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Unavailable(
                f"process {path.read_text().strip()} is already running on {path.parent}.",
                "run `attune down`, or set ATTUNE_DATA_DIR to another folder",
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _pid_path(settings: Settings) -> Path:
    return Path(settings.data_dir).absolute() / "up.pid"


def _running(path: Path) -> int | None:
    """Returns the process that holds a pid file; None if there is none."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return int(path.read_text())
    return None
