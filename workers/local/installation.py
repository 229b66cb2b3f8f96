"""Connects commands to the Kafka of this data folder: the running one, or one started for the duration of the command."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypedDict, TypeVar

import click

from infra.kafka.embedded import EmbeddedKafka
from workers.core.errors import Unavailable
from workers.settings import Settings
from workers.settings_loader import load

P = ParamSpec("P")
R = TypeVar("R")


class Where(TypedDict):
    """The installation that the command line selects; None = as in the settings."""

    brokers: str | None
    prefix: str | None
    data_dir: str | None


_OPTIONS = {
    "data_dir": click.option("--data-dir", help="Folder for state and the embedded Kafka. Default: ATTUNE_DATA_DIR."),
    "prefix": click.option("--prefix", help="Topic prefix of the installation or of a replay. Default: ATTUNE_PREFIX."),
    "brokers": click.option("--brokers", help="Kafka brokers, host:port[,host:port]. Default: ATTUNE_BROKERS."),
}


def installation_options(*names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Gives a command the options that select the installation, as keyword arguments: all, or only the named ones.

    Every command has them under the same names, with the same help (tests/unit/test_command_line.py).
    """

    def with_options(command: Callable[P, R]) -> Callable[P, R]:
        for name, option in _OPTIONS.items():
            if not names or name in names:
                command = option(command)
        return command

    return with_options


def on_installation(command: Callable[..., R]) -> Callable[..., R]:
    """Gives a command the options --brokers, --prefix and --data-dir, and passes the resulting settings as its first argument."""

    @wraps(command)
    def wrapped(brokers: str | None, prefix: str | None, data_dir: str | None, **kwargs: Any) -> R:
        return command(load(brokers=brokers, prefix=prefix, data_dir=data_dir), **kwargs)

    return installation_options()(wrapped)


@contextmanager
def reachable(settings: Settings) -> Iterator[Settings]:
    """Yields settings with a broker address that is reachable inside the block.

    `embedded` is the Kafka that `attune up`, `demo` or `replay` keeps in this data folder. If it is not running, it is started on
    its data, and stopped at the end. Raises Unavailable if none has ever run here.
    """
    if settings.brokers != "embedded":
        yield settings
        return
    folder = Path(settings.data_dir) / "kafka"
    port_file = folder / "port"
    if not port_file.exists():
        raise Unavailable(
            f"no embedded Kafka has run in {folder}.",
            "run `attune up` first; if it is running, use its --data-dir or ATTUNE_DATA_DIR, or set ATTUNE_BROKERS",
        )
    address = ("127.0.0.1", int(port_file.read_text()))
    if _answers(address):
        yield settings.changed(brokers=f"{address[0]}:{address[1]}")
        return
    with EmbeddedKafka(folder) as kafka:
        yield settings.changed(brokers=kafka.bootstrap)


def _answers(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, timeout=1.0):
            return True
    except OSError:
        return False
