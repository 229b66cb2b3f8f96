"""Matches concepts by pattern and checks whether the product's own data mentions them too."""

from __future__ import annotations

import re
from functools import lru_cache

from workers.core.guardrails.matching.alternatives import alternatives
from workers.core.guardrails.matching.pattern_table import PatternTable

_HAN = re.compile(r"[\u3400-\u9fff]")
_ENDLESS = re.compile(r"\\([wd])([*+])")
_LONGEST_WORD = 24
#: A concept in Latin letters matches only at the beginning of a word.
_LATIN = "(?<![a-z])(?:{})"


class Concepts:
    """A table of concept → pattern: concepts that copy may mention only if the product's own data does.

    `grounded_by`: patterns of the concepts that the facts, in any language, state in other words than a text does.
    """

    def __init__(self, table: dict[str, str], grounded_by: dict[str, str] | None = None) -> None:
        self._stated_by = {name: _bounded(pattern) for name, pattern in (table | (grounded_by or {})).items()}
        self._screen = PatternTable({name: _of_words(_bounded(pattern)) for name, pattern in table.items()})

    def ungrounded(self, text: str, grounds: str) -> tuple[str, str] | None:
        """Returns (concept, words) of the first in a case-folded text that is not in `grounds`; None = all are grounded."""
        for concept, found in self._screen.found(text):
            if not _states(self._stated_by[concept], grounds):
                return concept, found.group().strip()
        return None


def _bounded(pattern: str) -> str:
    r"""Bounds the length of words and numbers: an unbounded `\w*` would scan the rest of a long line at every match of `track`.

    >>> _bounded(r"track\w* \d+ runs?")
    'track\\w{0,24} \\d{1,24} runs?'
    """
    return _ENDLESS.sub(lambda found: rf"\{found[1]}{{{int(found[2] == '+')},{_LONGEST_WORD}}}", pattern)


def _of_words(pattern: str) -> str:
    parts = alternatives(pattern)
    latin, han = ("|".join(part for part in parts if bool(_HAN.search(part)) is is_han) for is_han in (False, True))
    return "|".join(filter(None, (_LATIN.format(latin) if latin else "", han)))


@lru_cache(maxsize=4096)
def _states(pattern: str, grounds: str) -> bool:
    return re.search(pattern, grounds) is not None
