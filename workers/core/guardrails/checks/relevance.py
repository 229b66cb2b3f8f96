"""Rejects a text that does not mention the product it was requested for."""

from __future__ import annotations

import re
from functools import lru_cache

from workers.core.guardrails.grounding.subject import Subject

_LATIN_WORD = re.compile(r"[a-z]{3,}|\d+")
_HAN = re.compile(r"[\u3400-\u9fff]{2,}")
_STEM = 4
_EMPTY_WORDS = frozenset({"the", "and", "for", "your", "with", "that", "item", "商品"})


def relevance(subject: Subject) -> str | None:
    """Requires at least one word (in Chinese, two characters) from the product's own data.

    A product of which only brand and category are known may be called `it`.
    """
    product, text = subject.about.product, subject.text
    if not product.name and not product.facts:
        return None
    latin, han = _marks(subject.grounds)
    if any(pair in text for pair in han) or any(word.group()[:_STEM] in latin for word in _LATIN_WORD.finditer(text)):
        return None
    return "it does not mention the product"


@lru_cache(maxsize=1024)  # many texts are about the same product
def _marks(grounds: str) -> tuple[frozenset[str], frozenset[str]]:
    """Returns the prefixes of its Latin words, and its pairs of Chinese characters."""
    latin = {word[:_STEM] for word in _LATIN_WORD.findall(grounds) if word not in _EMPTY_WORDS}
    han = {run[i : i + 2] for run in _HAN.findall(grounds) for i in range(len(run) - 1)} - _EMPTY_WORDS
    return frozenset(latin), frozenset(han)
