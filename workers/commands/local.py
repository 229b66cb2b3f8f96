"""Reaches the Kafka of this folder, for commands that only look: running, or started for as long as they look."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from infra.kafka.embedded import EmbeddedKafka
from workers.errors import Unavailable
from workers.settings import Settings, load

R = TypeVar("R")


def on_installation(command: Callable[..., R]) -> Callable[..., R]:
    """Gives a command the options --brokers, --prefix and --data-dir, as settings in its first argument."""

    @wraps(command)
    def wrapped(brokers: str | None, prefix: str | None, data_dir: str | None, **kwargs: Any) -> R:
        return command(load(brokers=brokers, prefix=prefix, data_dir=data_dir), **kwargs)

    for option in (
        click.option("--data-dir", help="Folder of the embedded Kafka; default: ATTUNE_DATA_DIR."),
        click.option("--prefix", help="Prefix of the installation; default: ATTUNE_PREFIX."),
        click.option("--brokers", help="host:port; default: ATTUNE_BROKERS."),
    ):
        wrapped = option(wrapped)
    return wrapped


@contextmanager
def reachable(settings: Settings) -> Iterator[Settings]:
    """Settings with an address inside the block.

    `embedded` is the Kafka that `attune up`, `demo` or `replay` keeps in this data folder; if it has stopped, it is started
    on its data and stopped again. Raises Unavailable when none has ever run here.
    """
    if settings.brokers != "embedded":
        yield settings
        return
    folder = Path(settings.data_dir) / "kafka"
    port_file = folder / "port"
    if not port_file.exists():
        raise Unavailable(f"no embedded Kafka has run in {folder}.", "`attune up` first, or set ATTUNE_BROKERS")
    address = ("127.0.0.1", int(port_file.read_text()))
    if _answers(address):
        yield msgspec.structs.replace(settings, brokers=f"{address[0]}:{address[1]}")
        return
    with EmbeddedKafka(folder) as kafka:
        yield msgspec.structs.replace(settings, brokers=kafka.bootstrap)


def _answers(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, timeout=1.0):
            return True
    except OSError:
        return False
