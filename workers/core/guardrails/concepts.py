"""Concepts by pattern: what a text speaks of, and whether the product's own data speaks of it too."""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from workers.core.guardrails.patterns import alternatives, arranged

_HAN = re.compile(r"[\u3400-\u9fff]")
_LATIN = re.compile(r"[a-z]")


class Concept(msgspec.Struct, frozen=True, eq=False):
    """Something that copy may only mention if the facts do. `pattern` finds it in a case-folded text, `grounded_by` in the
    facts of any language.
    """

    name: str
    pattern: re.Pattern[str]
    grounded_by: re.Pattern[str]


class Concepts(msgspec.Struct, frozen=True, eq=False):
    """A table of concepts in one script; compared by identity. `before`: what all their patterns begin with."""

    before: str
    table: tuple[Concept, ...]


def concepts(table: dict[str, str], grounded_by: dict[str, str] | None = None) -> tuple[Concepts, Concepts]:
    """A table of name → pattern, in two: for Latin letters (where a match begins with a word) and for Chinese.

    `grounded_by`: the concepts that the facts state in other words than a text does.
    """
    stated = table | (grounded_by or {})
    latin, han = {}, {}
    for name, pattern in table.items():
        parts = alternatives(pattern)
        latin[name] = "|".join(part for part in parts if not _HAN.search(part))
        han[name] = "|".join(part for part in parts if _HAN.search(part))
    return _compiled("(?<![a-z])", latin, stated), _compiled("", han, stated)


def ungrounded(compiled: tuple[Concepts, Concepts], text: str, grounds: str) -> tuple[str, str] | None:
    """(concept, the words found) of the first concept in `text` that is not in `grounds`; None = all are grounded."""
    for script, letters in zip(compiled, (_LATIN, _HAN), strict=True):
        if letters.search(text) is None:
            continue
        foreign = _foreign(script, grounds)
        if _any_of(script.before, foreign).search(text) is None:
            continue
        for concept in foreign:
            if found := concept.pattern.search(text):
                return concept.name, found.group().strip()
    return None


@lru_cache(maxsize=4096)
def _foreign(script: Concepts, grounds: str) -> tuple[Concept, ...]:
    """The concepts that a product's own data does not speak of."""
    return tuple(concept for concept in script.table if concept.grounded_by.search(grounds) is None)


@lru_cache(maxsize=64)
def _any_of(before: str, foreign: tuple[Concept, ...]) -> re.Pattern[str]:
    """All patterns as one, for a quick no. Products share few sets of concepts."""
    either = "|".join(concept.pattern.pattern.removeprefix(before) for concept in foreign)
    return re.compile(f"{before}(?:{arranged(either) if either else '(?!)'})")


def _compiled(before: str, table: dict[str, str], stated: dict[str, str]) -> Concepts:
    found = {name: re.compile(f"{before}(?:{pattern})") for name, pattern in table.items() if pattern}
    return Concepts(before, tuple(Concept(name, pattern, re.compile(stated[name])) for name, pattern in found.items()))
