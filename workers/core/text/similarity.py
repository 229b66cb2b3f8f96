"""Computes the exact similarity of two texts: Jaccard similarity of their character 5-grams."""

from __future__ import annotations

import msgspec

from schemas.messages import MessageText
from workers.core.text.normalize import normalised

_GRAM = 5
#: At this share of common 5-grams, two texts count as the same.
NEAR = 0.8


def similarity(one: MessageText, other: MessageText) -> float:
    """Returns 0 (nothing in common) to 1 (equal letters and digits in all fields); case, spaces and punctuation are ignored.

    >>> similarity(MessageText(body="Still in your cart!"), MessageText(body="still in your cart"))
    1.0
    """
    ours, theirs = _grams(one), _grams(other)
    return len(ours & theirs) / len(ours | theirs) if ours | theirs else 1.0


def is_near(one: MessageText, other: MessageText) -> bool:
    """Returns whether two texts are similar enough (`NEAR`) to count as the same."""
    return similarity(one, other) >= NEAR


def _grams(text: MessageText) -> frozenset[str]:
    plain = normalised("\n".join(filter(None, msgspec.structs.astuple(text)))).casefold()
    letters = "".join(character for character in plain if character.isalnum())
    return frozenset(letters[at : at + _GRAM] for at in range(max(1, len(letters) - _GRAM + 1))) - {""}
