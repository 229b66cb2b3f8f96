"""The alternatives of a pattern, cut out of its text; and one of them written so that Python finds it sooner."""

from __future__ import annotations

import re
from collections.abc import Iterator

_BEGINS = re.compile(r"\\b|\(\?<[!=][^()]*\)")
_ENDS = re.compile(r"\\b|\(\?[!=][^()]*\)")
#: What must not stand before a letter that is there once.
_BEFORE_LETTER = re.compile(r"((?:\\b|\(\?<!\[[^\]]*\]\))+)([a-z])(?![?*+{])")


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


def flat(pattern: str) -> list[str]:
    r"""The alternatives, those of a group that is all of an alternative among them: of `\b(?:a|b)\b|c` they are three."""
    found = []
    for alternative in alternatives(pattern):
        before, inner, after = _whole_group(alternative)
        found += [f"{before}{part}{after}" for part in flat(inner)] if inner is not None else [alternative]
    return found


def letter_first(alternative: str) -> str:
    r"""The same, its first letter in front of what must not stand before it: Python goes from one such letter to the next,
    where it would try every place of a text.

    >>> letter_first(r"(?<![a-z])\bcoupons?"), letter_first("(?:a|b)")
    ('c(?<=(?<![a-z])\\bc)oupons?', '(?:a|b)')
    """
    found = _BEFORE_LETTER.match(alternative)
    if found is None:
        return alternative
    before, letter = found.groups()
    return f"{letter}(?<={before}{letter}){alternative[found.end() :]}"


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


def _whole_group(pattern: str) -> tuple[str, str | None, str]:
    """(assertion, what stands in the group, assertion) if a pattern is one group and what is asserted before and after it."""
    begins = _BEGINS.match(pattern)
    start = begins.end() if begins else 0
    if not pattern.startswith("(?:", start):
        return "", None, ""
    closes = next(at for at, mark, depth in _marks(pattern[start:]) if mark == ")" and depth == 0) + start
    after = pattern[closes + 1 :]
    if after and _ENDS.fullmatch(after) is None:
        return "", None, ""
    return pattern[:start], pattern[start + 3 : closes], after
