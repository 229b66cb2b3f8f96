"""What all tests share: waiting on conditions instead of sleeping."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

T = TypeVar("T")

_PAUSE_S = 0.05


def wait_until(condition: Callable[[], T], timeout_s: float, what: str) -> T:
    """Calls `condition` until it returns something true, and returns that; it is called at least once.

    Fails the test with `what` and the last result when `timeout_s` have passed. What `condition` raises passes.
    """
    deadline_s = time.monotonic() + timeout_s
    while True:
        result = condition()
        if result:
            return result
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise AssertionError(f"not within {timeout_s:g} s: {what} (last: {result!r})")
        threading.Event().wait(min(_PAUSE_S, left_s))


def examples(most: int) -> int:
    """How many examples a property is tried with; a fifth in the quick loop of `make check`."""
    return max(10, most // 5) if os.environ.get("QUICK") == "1" else most


def hit_rate(strategy: SearchStrategy[T], hits: Callable[[T], object], of: int = 200) -> float:
    """The share of `of` generated values for which `hits` says something true, the same in every run.

    A property whose generator seldom reaches what it speaks of says little: let its test fail below a share.
    """
    found: list[bool] = []

    @settings(max_examples=of, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def measure(value: T) -> None:
        found.append(bool(hits(value)))

    measure()
    assert len(found) >= of // 2
    return sum(found) / len(found)


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
