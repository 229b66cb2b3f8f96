r"""Long alternations, arranged for Python's `re`: it tries alternative after alternative at every place of a text.

It passes quickly over one whose first element is a letter, and slowly over one that begins with `\b`. So what begins with
the same assertion stands behind it once, and what begins with the same letter behind that: a table of two hundred words is
left after some ten comparisons.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_ASSERTION = re.compile(r"\\b|\(\?<![^()]*\)")
_QUANTIFIERS = "?*+{"


def arranged(pattern: str) -> str:
    r"""A pattern that matches at the same places; where two alternatives match at one place, it may choose the other one.

    >>> arranged(r"\bcash\b|\bcoupon|now|\bnever")
    '\\b(?:c(?:ash\\b|oupon)|never)|now'
    """
    groups: dict[str, list[str]] = {}
    for alternative in _flat(pattern):
        begins = _ASSERTION.match(alternative)
        groups.setdefault(begins.group() if begins else "", []).append(alternative[begins.end() if begins else 0 :])
    parts = [
        f"{before}(?:{_by_letter(rest)})" if len(rest) > 1 else before + rest[0]
        for before, rest in groups.items()
        if before
    ]
    return "|".join([*parts, *([_by_letter(groups[""])] if "" in groups else [])])


def alternatives(pattern: str) -> list[str]:
    r"""The alternatives of a pattern that stand in no group.

    >>> alternatives(r"a(?:b|c)|[|]d\||心")
    ['a(?:b|c)', '[|]d\\|', '心']
    """
    parts, start = [], 0
    for at, mark, depth in _marks(pattern):
        if mark == "|" and depth == 0:
            parts.append(pattern[start:at])
            start = at + 1
    return [*parts, pattern[start:]]


def _marks(pattern: str) -> Iterator[tuple[int, str, int]]:
    """(place, character, depth of groups around it) of what structures a pattern: `(`, `|` and `)` outside of classes."""
    depth, in_class, at = 0, False, 0
    while at < len(pattern):
        match pattern[at]:
            case "\\":
                at += 1
            case "[":
                in_class = True
            case "]":
                in_class = False
            case "(" if not in_class:
                yield at, "(", depth
                depth += 1
            case ")" if not in_class:
                depth -= 1
                yield at, ")", depth
            case "|" if not in_class:
                yield at, "|", depth
        at += 1


def _flat(pattern: str) -> list[str]:
    """The alternatives, those of a group that is all of an alternative (`(?:a|b)|c`) among them."""
    found = []
    for alternative in alternatives(pattern):
        begins = _ASSERTION.match(alternative)
        before = begins.group() if begins else ""
        inner = _whole_group(alternative[len(before) :])
        found += [before + part for part in _flat(inner)] if inner is not None else [alternative]
    return found


def _whole_group(pattern: str) -> str | None:
    """What stands in the group that `pattern` is, from its first character to its last."""
    if not pattern.startswith("(?:"):
        return None
    closes = next(at for at, mark, depth in _marks(pattern) if mark == ")" and depth == 0)
    return pattern[3:-1] if closes == len(pattern) - 1 else None


def _by_letter(options: list[str]) -> str:
    """The alternatives, those that begin with the same letter as one."""
    groups: dict[str, list[str]] = {}
    for number, option in enumerate(options):
        is_letter = option[:1].isalnum() and option[1:2] not in (*_QUANTIFIERS,)
        groups.setdefault(option[0] if is_letter else f"#{number}", []).append(option)
    return "|".join(
        rest[0] if len(rest) == 1 else f"{first}(?:{'|'.join(option[1:] for option in rest)})"
        for first, rest in groups.items()
    )
