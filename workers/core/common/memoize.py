"""Caches results for arguments that never change but cannot be hashed, such as a channel or a playbook."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")

_MAX_RESULTS = 10_000


def memoize_by_identity(call: Callable[Concatenate[T, P], R]) -> Callable[Concatenate[T, P], R]:
    """Calls the function once per object (the first argument, by identity) and other arguments, which must be hashable.

    Neither the object nor the result may change. At most 10,000 results are kept; at that point all are dropped.

    >>> calls = []
    >>> length = memoize_by_identity(lambda things, less: calls.append(less) or len(things) - less)
    >>> three = ["a", "b", "c"]
    >>> length(three, 1), length(three, 1), length(three, 2), calls
    (2, 2, 1, [1, 2])
    """
    results: dict[tuple[Hashable, ...], tuple[T, R]] = {}

    @wraps(call)
    def cached(thing: T, /, *others: P.args, **named: P.kwargs) -> R:
        key = (id(thing), *others, *named.items())
        found = results.get(key)
        if found is None or found[0] is not thing:  # another object that reuses the id of a deleted one
            if len(results) >= _MAX_RESULTS:
                results.clear()
            found = results[key] = thing, call(thing, *others, **named)
        return found[1]

    return cached
