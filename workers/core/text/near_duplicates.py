"""Estimates how similar two texts are from hashes that fit into a profile: bottom-k sketches of character 5-grams.

The k smallest hashes of a set are a uniform sample of it, so the share that two sketches have in common among the k smallest of
both estimates the Jaccard similarity of the sets (Broder 1997, "On the resemblance and containment of documents"); for k = 32
the standard error is about 0.09. The text cannot be recovered from a sketch.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from zlib import crc32

_SIZE = 32
_GRAM = 5


def sketch(text: str) -> list[int]:
    """Returns at most 32 hashes of 32 bits, ascending; case, punctuation and spaces are ignored. [] = an empty text.

    >>> sketch("Still in your cart!") == sketch("still, in your CART")
    True
    """
    kept = "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())
    if not kept:
        return []
    grams = {kept[i : i + _GRAM] for i in range(max(1, len(kept) - _GRAM + 1))}
    return sorted({crc32(gram.encode()) for gram in grams})[:_SIZE]


def similarity(one: list[int], other: list[int]) -> float:
    """Returns the estimated share of common 5-grams, 0 to 1; exact for texts of at most 32 of them.

    >>> similarity(sketch("Your Smart Band is waiting"), sketch("Your Smart Band is waiting."))
    1.0
    """
    sample = sorted({*one, *other})[:_SIZE]
    return len({*sample} & {*one} & {*other}) / len(sample) if sample else 0.0


def closest(text: str, sketches: Iterable[list[int]]) -> float:
    """Returns the similarity of a text to the most similar of `sketches`; 0 = there are none."""
    own = sketch(text)
    return max((similarity(own, other) for other in sketches), default=0.0)
