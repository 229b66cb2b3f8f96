"""The exit codes of a worker, and what each means to its supervisor.

70 and 78 are those of sysexits.h; ours begin after it, and below 126, where the shell's own begin.
"""

from __future__ import annotations

import signal
from enum import IntEnum

from workers.core.errors import Fenced, Misconfigured, Unavailable


class Exit(IntEnum):
    """The codes. Whatever the code: what was committed is kept, and what was not has no effect."""

    OK = 0
    FAILED = 1
    SOFTWARE = 70
    MISCONFIGURED = 78
    STALLED = 81
    NOT_STOPPED = 82
    FENCED = 83


_WORDS = {
    Exit.OK: "it was asked to end",
    Exit.FAILED: "it could not start, or lost what it needs",
    Exit.SOFTWARE: "an error that it cannot go on with",
    Exit.MISCONFIGURED: "a setting, a playbook or a topic is wrong: starting again does not help",
    Exit.STALLED: "its watchdog ended it: it hung",
    Exit.NOT_STOPPED: "it did not stop in time and ended itself",
    Exit.FENCED: "a newer worker owns its partitions",
    99: "a failpoint of a test",
    127: "the program cannot be executed",
}
_SIGNALS = {signal.SIGKILL: "by hand, or because memory was short"}


def code_of(error: BaseException) -> Exit:
    """Returns the code with which an error ends the process.

    >>> code_of(Fenced("lane 3")).name
    'FENCED'
    """
    for kind, code in ((Misconfigured, Exit.MISCONFIGURED), (Unavailable, Exit.FAILED), (Fenced, Exit.FENCED)):
        if isinstance(error, kind):
            return code
    return Exit.SOFTWARE


def in_words(code: int) -> str:
    """Describes a process's end in words; a negative code is the signal that ended it, as in subprocess.

    >>> in_words(83)
    'code 83: a newer worker owns its partitions'
    >>> in_words(-15)
    'signal SIGTERM'
    """
    if code < 0:
        try:
            number = signal.Signals(-code)
        except ValueError:
            return f"signal {-code}"
        return f"signal {number.name}: {_SIGNALS[number]}" if number in _SIGNALS else f"signal {number.name}"
    return f"code {code}: {_WORDS[code]}" if code in _WORDS else f"code {code}"
