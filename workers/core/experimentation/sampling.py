"""Draws at random with given probabilities, repeatably: the same seed gives the same draw."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b


def choose(chances: Mapping[str, float], *parts: str) -> str:
    """Returns one arm, drawn with the given probabilities by a hash of `parts`: the same parts give the same arm.

    >>> choose({"a": 1.0}, "7", "decision-1")
    'a'
    """
    position, chosen = uniform(*parts), ""
    for arm in sorted(chances):
        chosen = arm
        position -= chances[arm]
        if position < 0:
            break
    return chosen


def uniform(*parts: str) -> float:
    """Returns a number in [0, 1) that depends on the parts alone, uniformly distributed over different parts."""
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64
