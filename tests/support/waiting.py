"""Waits for conditions instead of sleeping."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_PAUSE_S = 0.05


def wait_until(condition: Callable[[], T], timeout_s: float, what: str) -> T:
    """Calls `condition` (at least once) until its result is true, and returns that.

    Fails the test with `what` and the last result after `timeout_s`. Exceptions of `condition` propagate.
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
