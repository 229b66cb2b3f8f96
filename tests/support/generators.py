"""Sets the number of examples of a property, and measures how often its generator produces relevant ones."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

T = TypeVar("T")


def hit_rate(strategy: SearchStrategy[T], hits: Callable[[T], object], of: int = 200) -> float:
    """Returns the share of `of` generated values for which `hits` is true, the same in every run.

    A property whose generator rarely produces relevant values proves little: its test should fail below a share.
    """
    found: list[bool] = []

    @settings(max_examples=of, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def measure(value: T) -> None:
        found.append(bool(hits(value)))

    measure()
    assert len(found) >= of // 2
    return sum(found) / len(found)


def examples(most: int) -> int:
    """Returns the number of examples of a property; a fifth in the quick loop of `make check`."""
    return max(10, most // 5) if os.environ.get("QUICK") == "1" else most
