"""How many examples a property is tried with, and how often its generator reaches what it speaks of."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

T = TypeVar("T")


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


def examples(most: int) -> int:
    """How many examples a property is tried with; a fifth in the quick loop of `make check`."""
    return max(10, most // 5) if os.environ.get("QUICK") == "1" else most
