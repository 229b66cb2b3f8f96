"""Defines what all commands share: the terminal, and errors printed as one line with an exit code."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import FrameType
from typing import Any, ParamSpec, TypeVar

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from workers.core.errors import AttuneError, Misconfigured

P = ParamSpec("P")
R = TypeVar("R")

#: Characters that a terminal interprets instead of displaying: control characters except newline and tab (C1 is ESC in one byte),
#: bidirectional overrides, which reorder the letters around them, line separators; and surrogates, which cannot be encoded.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_BREAKS = re.compile("[\n\t]")


def visible(text: str) -> str:
    """Makes text from outside safe to print: control characters are escaped as in JSON, so that JSON stays valid.

    >>> visible("red \\x1b[31m")
    'red \\\\u001b[31m'
    """
    return _UNSAFE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


class Terminal(Console):
    """A console that displays text and never interprets it, whatever its source and however it is printed.

    Markup and emoji codes are printed as they are, and control characters are made visible. Only rich's own output (colours,
    the live view) keeps its control codes.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """See rich. The text is made visible before it is measured, so that tables stay aligned."""
        return super().render_str(visible(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """See rich. Everything that is printed passes through here, as segments of text or control codes."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield segment if control or _UNSAFE.search(text) is None else Segment(visible(text), style)

    def lines(self, lines: Iterable[str]) -> None:
        """Prints each as a single line: a line break inside one could imitate our own output."""
        for line in lines:
            self.print(_BREAKS.sub(_in_one_line, line))


def _in_one_line(found: re.Match[str]) -> str:
    return {"\n": "\\n", "\t": "\\t"}[found[0]]


#: Results go to stdout, everything else to stderr.
out = Terminal(soft_wrap=True)
err = Terminal(stderr=True, soft_wrap=True)


def print_progress(text: str) -> None:
    """Prints progress on stderr."""
    err.print(f"attune: {text}")


MISCONFIGURED = 78  # EX_CONFIG of sysexits.h: a restart does not help
FAILED = 1


def one_line_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Makes an expected failure end the command with its message and a non-zero exit code, without a traceback."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except AttuneError as error:
            err.print(f"attune: {error}")
            sys.exit(MISCONFIGURED if isinstance(error, Misconfigured) else FAILED)

    return wrapped


class Stop:
    """`requested` is set once a person or a supervisor has requested the command to stop."""

    def __init__(self) -> None:
        self.requested = False


@contextmanager
def stopping() -> Iterator[Stop]:
    """Treats SIGINT and SIGTERM inside the block as a request to stop; a second signal ends the command immediately."""
    stop = Stop()

    def request(number: int, _frame: FrameType | None) -> None:
        if stop.requested:
            raise KeyboardInterrupt
        stop.requested = True
        err.print(f"stopping ({signal.Signals(number).name}) ...", style="dim")

    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
