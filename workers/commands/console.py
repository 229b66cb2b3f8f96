"""What all commands share: the terminal, and errors as one clear line with an exit code."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import FrameType
from typing import ParamSpec, TypeVar

from rich.console import Console

from workers.errors import AttuneError, Misconfigured

P = ParamSpec("P")
R = TypeVar("R")

#: Results go to stdout, everything else to stderr.
out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)

MISCONFIGURED = 78  # EX_CONFIG of sysexits.h: starting again does not help
FAILED = 1


def one_line_errors(command: Callable[P, R]) -> Callable[P, R]:
    """An expected failure ends the command with its message and a code other than 0, without a traceback."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except AttuneError as error:
            err.print(f"attune: {error}", markup=False)
            sys.exit(MISCONFIGURED if isinstance(error, Misconfigured) else FAILED)

    return wrapped


class Stop:
    """Whether a person or a supervisor has asked to end."""

    def __init__(self) -> None:
        self.asked = False


@contextmanager
def stopping() -> Iterator[Stop]:
    """Inside the block SIGINT and SIGTERM are a polite request; a second one ends at once."""
    stop = Stop()

    def ask(number: int, _frame: FrameType | None) -> None:
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked = True
        err.print(f"[dim]stopping ({signal.Signals(number).name}) ...[/dim]")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
