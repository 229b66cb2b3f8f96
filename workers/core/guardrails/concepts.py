"""Concepts by pattern: what a text speaks of, and whether the product's own data speaks of it too."""

from __future__ import annotations

import re

import msgspec


class Concept(msgspec.Struct, frozen=True):
    """Something that copy may only mention if the facts do. The patterns match case-folded text of all languages.

    `pattern` finds it in a text, `grounded_by` in the facts.
    """

    name: str
    pattern: re.Pattern[str]
    grounded_by: re.Pattern[str]


def concepts(
    table: dict[str, str], grounded_by: dict[str, str] | None = None
) -> tuple[re.Pattern[str], tuple[Concept, ...]]:
    """A table of name → pattern as one pattern for a quick no, and the concepts for a reasoned yes.

    `grounded_by`: the concepts that the facts state in other words than a text does.
    """
    union = re.compile("|".join(f"(?:{pattern})" for pattern in table.values()))
    other = grounded_by or {}
    return union, tuple(
        Concept(name, re.compile(pattern), re.compile(other.get(name, pattern))) for name, pattern in table.items()
    )


def ungrounded(
    compiled: tuple[re.Pattern[str], tuple[Concept, ...]], text: str, grounds: str
) -> tuple[str, str] | None:
    """(concept, the words found) of the first concept in `text` that is not in `grounds`; None = all are grounded."""
    union, table = compiled
    if union.search(text) is None:
        return None
    for concept in table:
        found = concept.pattern.search(text)
        if found is not None and concept.grounded_by.search(grounds) is None:
            return concept.name, found.group().strip()
    return None
