"""Caches results for arguments that never change but cannot be hashed, such as a channel or a playbook."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")

_MOST = 10_000


def memoize_by_identity(call: Callable[Concatenate[T, P], R]) -> Callable[Concatenate[T, P], R]:
    """Calls the function once per object (the first argument, by identity) and other arguments, which must be hashable.

    Neither the object nor the result may change. At most 10,000 results are kept; then all are dropped.

    >>> asked = []
    >>> length = memoize_by_identity(lambda things, less: asked.append(less) or len(things) - less)
    >>> three = ["a", "b", "c"]
    >>> length(three, 1), length(three, 1), length(three, 2), asked
    (2, 2, 1, [1, 2])
    """
    known: dict[tuple[Hashable, ...], tuple[T, R]] = {}

    @wraps(call)
    def asked(thing: T, /, *others: P.args, **named: P.kwargs) -> R:
        key = (id(thing), *others, *named.items())
        found = known.get(key)
        if found is None or found[0] is not thing:  # another object with the id of one that is gone
            if len(known) >= _MOST:
                known.clear()
            found = known[key] = thing, call(thing, *others, **named)
        return found[1]

    return asked
