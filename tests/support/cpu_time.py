"""Compares this machine with the one that limits of CPU time were set on."""

from __future__ import annotations

import time

#: CPU time of `_fixed_work` on the machine that the limits in milliseconds were set on [s].
_REFERENCE_S = 0.0050


def slowness() -> float:
    """How much slower this machine is at this moment than the one that limits of CPU time were set on; at least 1.

    Ask when a limit is passed: another machine, and what else runs beside the test, are no finding.
    """
    return max(1.0, min(_fixed_work() for _ in range(5)) / _REFERENCE_S)


def _fixed_work() -> float:
    began_s = time.thread_time()
    total = 0
    for number in range(100_000):
        total += number * number % 7
    assert total > 0
    return time.thread_time() - began_s
