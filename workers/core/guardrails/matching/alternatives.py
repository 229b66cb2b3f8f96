"""Splits a pattern into its alternatives, and rewrites an alternative so that Python finds it faster."""

from __future__ import annotations

import re
from collections.abc import Iterator

_BEGINS = re.compile(r"\\b|\(\?<[!=][^()]*\)")
_ENDS = re.compile(r"\\b|\(\?[!=][^()]*\)")
#: Assertions before a letter that has no quantifier.
_BEFORE_LETTER = re.compile(r"((?:\\b|\(\?<!\[[^\]]*\]\))+)([a-z])(?![?*+{])")


def alternatives(pattern: str) -> list[str]:
    r"""Returns the top-level alternatives of a pattern, those outside any group.

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
    r"""Returns the alternatives, with those of a group that spans a whole alternative expanded: `\b(?:a|b)\b|c` has three."""
    found = []
    for alternative in alternatives(pattern):
        before, inner, after = _whole_group(alternative)
        found += [f"{before}{part}{after}" for part in flat(inner)] if inner is not None else [alternative]
    return found


def letter_first(alternative: str) -> str:
    r"""Moves the first letter before its assertions, so that Python skips to the next such letter instead of trying every
    position.

    >>> letter_first(r"(?<![a-z])\bcoupons?"), letter_first("(?:a|b)")
    ('c(?<=(?<![a-z])\\bc)oupons?', '(?:a|b)')
    """
    found = _BEFORE_LETTER.match(alternative)
    if found is None:
        return alternative
    before, letter = found.groups()
    return f"{letter}(?<={before}{letter}){alternative[found.end() :]}"


def _marks(pattern: str) -> Iterator[tuple[int, str, int]]:
    """Yields (position, character, group depth) of the structural characters `(`, `|` and `)` outside character classes."""
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
    """Returns (assertion, group content, assertion) if a pattern is one group with only assertions before and after it."""
    begins = _BEGINS.match(pattern)
    start = begins.end() if begins else 0
    if not pattern.startswith("(?:", start):
        return "", None, ""
    closes = next(at for at, mark, depth in _marks(pattern[start:]) if mark == ")" and depth == 0) + start
    after = pattern[closes + 1 :]
    if after and _ENDS.fullmatch(after) is None:
        return "", None, ""
    return pattern[:start], pattern[start + 3 : closes], after
