"""Compares this machine with the one on which the CPU time limits were set."""

from __future__ import annotations

import time

#: CPU time of `_fixed_work` on the machine on which the limits were set [s].
_REFERENCE_S = 0.0050


def slowness() -> float:
    """Returns how much slower this machine is now than the one on which the limits were set; at least 1.

    Call it when a limit is exceeded: a slower machine, or other load next to the test, is not a finding.
    """
    return max(1.0, min(_fixed_work() for _ in range(5)) / _REFERENCE_S)


def _fixed_work() -> float:
    began_s = time.thread_time()
    total = 0
    for number in range(100_000):
        total += number * number % 7
    assert total > 0
    return time.thread_time() - began_s
