"""The exit codes of a worker, and their meaning for its supervisor.

70 and 78 are from sysexits.h; ours are above those of sysexits.h and below 126, where the shell's own begin.
"""

from __future__ import annotations

import signal
from enum import IntEnum

from workers.core.errors import Fenced, Misconfigured, Unavailable


class Exit(IntEnum):
    """The exit codes. With any of them, committed work is kept, and uncommitted work has no effect."""

    OK = 0
    FAILED = 1
    SOFTWARE = 70
    MISCONFIGURED = 78
    STALLED = 81
    NOT_STOPPED = 82
    FENCED = 83


_MEANINGS = {
    Exit.OK: "it was asked to stop",
    Exit.FAILED: "it could not start, or lost a service that it needs",
    Exit.SOFTWARE: "an unrecoverable error",
    Exit.MISCONFIGURED: "a setting, a playbook or a topic is wrong: a restart does not help",
    Exit.STALLED: "it hung, and its watchdog ended it",
    Exit.NOT_STOPPED: "it did not stop in time, and its watchdog ended it",
    Exit.FENCED: "a newer worker owns its partitions",
    99: "a failpoint of a test",
    127: "the program cannot be executed",
}
_SIGNALS = {signal.SIGKILL: "killed by someone, or out of memory"}


def code_of(error: BaseException) -> Exit:
    """Returns the exit code for an error that ends the process.

    >>> code_of(Fenced("lane 3")).name
    'FENCED'
    """
    for kind, code in ((Misconfigured, Exit.MISCONFIGURED), (Unavailable, Exit.FAILED), (Fenced, Exit.FENCED)):
        if isinstance(error, kind):
            return code
    return Exit.SOFTWARE


def describe_exit(code: int) -> str:
    """Describes how a process ended; a negative code is the signal that ended it, as in subprocess.

    >>> describe_exit(83)
    'code 83: a newer worker owns its partitions'
    >>> describe_exit(-15)
    'signal SIGTERM'
    """
    if code < 0:
        try:
            number = signal.Signals(-code)
        except ValueError:
            return f"signal {-code}"
        return f"signal {number.name}: {_SIGNALS[number]}" if number in _SIGNALS else f"signal {number.name}"
    return f"code {code}: {_MEANINGS[code]}" if code in _MEANINGS else f"code {code}"
