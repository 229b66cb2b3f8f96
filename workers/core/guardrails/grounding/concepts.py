"""Concepts by pattern: what a text speaks of, and whether the product's own data speaks of it too."""

from __future__ import annotations

import re
from functools import lru_cache

from workers.core.guardrails.matching.alternatives import alternatives
from workers.core.guardrails.matching.pattern_table import PatternTable

_HAN = re.compile(r"[\u3400-\u9fff]")
_ENDLESS = re.compile(r"\\([wd])([*+])")
_LONGEST_WORD = 24
#: Where a concept in Latin letters begins, a word does.
_LATIN = "(?<![a-z])(?:{})"


class Concepts:
    """A table of concept → pattern: what copy may only mention if the product's own data does.

    `grounded_by`: the concepts that the facts, in any language, state in other words than a text does.
    """

    def __init__(self, table: dict[str, str], grounded_by: dict[str, str] | None = None) -> None:
        self._stated_by = {name: _bounded(pattern) for name, pattern in (table | (grounded_by or {})).items()}
        self._screen = PatternTable({name: _of_words(_bounded(pattern)) for name, pattern in table.items()})

    def ungrounded(self, text: str, grounds: str) -> tuple[str, str] | None:
        """(concept, the words found) of the first in a case-folded text that is not in `grounds`; None = all are grounded."""
        for concept, found in self._screen.found(text):
            if not _states(self._stated_by[concept], grounds):
                return concept, found.group().strip()
        return None


def _bounded(pattern: str) -> str:
    r"""The same, with an end to words and numbers: `\w*` of every `track` in a long line is the rest of that line, each time.

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
