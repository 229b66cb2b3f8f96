"""Determines the words a text must contain for a pattern to match, from the pattern as parsed by `re`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

_GROUPS = (op.SUBPATTERN, op.ATOMIC_GROUP)
_ONE_CHARACTER = (op.LITERAL, op.IN)
_ZERO_WIDTH = (op.AT, op.ASSERT, op.ASSERT_NOT)
_LATIN_MEMBERS = frozenset(((op.RANGE, (ord("a"), ord("z"))), (op.CATEGORY, op.CATEGORY_WORD)))
_REPEATS = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)
#: A repeated part is expanded at most this many times.
_MAX_REPEATS = 4
_MAX_PREFIXES = 100
#: A class of more characters than this does not narrow down the texts.
_MAX_CHARACTERS = 60
#: A single Latin letter occurs in nearly every text (see _rarity).
_RARE = (2.0, -1000)
#: Words that most texts contain; they are better than none.
_FREQUENT = frozenset(("all", "and", "are", "for", "have", "its", "not", "the", "this", "that", "with", "you", "your"))
_FREQUENT_WEIGHT = 2.0
#: Prefix of a required word that no Latin letter precedes in the text.
START = "\b"
_NOTHING: frozenset[str] = frozenset()
#: A larger set is not searched word by word.
_MAX_ALSO_REQUIRED = 12


def folded(text: str) -> str:
    """Case-folds a text so that everything `re.IGNORECASE` treats as equal becomes equal: I, i, ı and İ do."""
    return text.lower() if text.isascii() else text.replace("İ", "i").casefold().replace("ı", "i")


def required_literals(pattern: str, flags: re.RegexFlag = re.NOFLAG) -> frozenset[str]:
    r"""Returns folded words, at least one of which occurs in every text the pattern matches; empty = unknown.

    A leading "\b" means that no lowercase Latin letter precedes the word.

    >>> sorted(required_literals(r"\bcoupons?\b")), sorted(required_literals(r"\w+@?"))
    (['\x08coupon'], [])
    >>> sorted(required_literals(r"\bsave (?:cash|money)\b"))
    ['\x08save cash', '\x08save money']
    """
    return _of_sequence(_parser.parse(pattern, flags))


def also_required(pattern: str, flags: re.RegexFlag = re.NOFLAG) -> frozenset[str]:
    r"""Returns folded words from elsewhere in the pattern, one of which such a text contains in addition to one of
    `required_literals`; empty = none.

    >>> sorted(also_required(r"\b(?:save|keep) (?:cash|money)\b")), sorted(also_required(r"\bcash\b"))
    (['keep', 'save'], [])
    """
    by_rarity = sorted(_of_items(_parser.parse(pattern, flags)), key=_rarity, reverse=True)
    for words in by_rarity[1:]:
        if _rarity(words) >= _RARE and len(words) <= _MAX_ALSO_REQUIRED:
            return frozenset(word.lstrip(START) for word in words)
    return _NOTHING


def _of_sequence(items: Any, *, at_start: bool = False) -> frozenset[str]:
    """Returns the rarest words that one of the items needs. `at_start`: no lowercase Latin letter precedes the first item."""
    best = max(_of_items(items, at_start=at_start), key=_rarity, default=_NOTHING)
    return best if _rarity(best) >= _RARE else _NOTHING


def _of_items(items: Any, *, at_start: bool = False) -> Iterator[frozenset[str]]:
    """Yields the words that each item needs; consecutive letters form one word, extended by what may follow them."""
    letters, letters_at_start = "", False
    for place, (kind, value) in enumerate(items := [*items, (None, None)]):
        if kind is op.LITERAL:
            letters_at_start = letters_at_start if letters else at_start
            letters, at_start = letters + folded(chr(value)), False
            continue
        if letters:
            longer = {letters + prefix for prefix in _prefixes(items[place:])}
            yield max((_marked(words, at_start=letters_at_start) for words in ({letters}, longer)), key=_rarity)
        letters = ""
        yield _of_item(kind, value, at_start=at_start)
        at_start = _begins_word(kind, value) or (at_start and kind in _ZERO_WIDTH)


def _of_item(kind: Any, value: Any, *, at_start: bool) -> frozenset[str]:
    if kind is op.BRANCH:
        parts = [_of_sequence(part, at_start=at_start) for part in value[1]]
        return _NOTHING.union(*parts) if all(parts) else _NOTHING
    if kind in _GROUPS:
        return _of_sequence(value[-1] if kind is op.SUBPATTERN else value, at_start=at_start)
    if kind in _REPEATS and value[0] > 0:
        return _of_sequence([*value[2]] * min(value[0], _MAX_REPEATS), at_start=at_start)
    if kind is op.ASSERT:  # a lookahead or lookbehind
        return _of_sequence(value[1], at_start=at_start and value[0] > 0)
    if kind is op.IN:
        return _marked(_of_class(value), at_start=at_start)
    return _NOTHING  # a negative assertion, or any character


def _prefixes(items: Any) -> set[str]:
    """Returns prefixes, one of which starts every match of the items; {""} = unknown."""
    found = {""}
    for kind, value in items:
        if kind is op.LITERAL:
            following = {folded(chr(value))}
        elif kind is op.IN:
            following = set(_of_class(value))
        elif kind is op.BRANCH:
            following = {word for part in value[1] for word in _prefixes(part)}
        else:
            following = _prefixes(value[-1]) if kind is op.SUBPATTERN else set()
        if not following or len(found) * len(following) > _MAX_PREFIXES:
            return found
        found = {word + end for word in found for end in following}
        if kind not in _ONE_CHARACTER:  # what follows the prefix of an alternative is unknown
            return found
    return found


def _marked(words: Iterable[str], *, at_start: bool) -> frozenset[str]:
    """Returns the words, marked with START if they begin a word of the text."""
    return frozenset(START + word if at_start and word[:1].isalnum() else word for word in words)


def _begins_word(kind: Any, value: Any) -> bool:
    """Returns whether a letter or digit right after this item has no lowercase Latin letter before it."""
    if kind is op.AT:
        return value in (op.AT_BOUNDARY, op.AT_BEGINNING, op.AT_BEGINNING_STRING)
    if kind is not op.ASSERT_NOT or value[0] > 0 or len(value[1]) != 1 or value[1][0][0] is not op.IN:
        return False
    members = value[1][0][1]
    return (op.NEGATE, None) not in members and not _LATIN_MEMBERS.isdisjoint(members)


def _of_class(members: Any) -> frozenset[str]:
    found = set[str]()
    for kind, value in members:
        if kind is op.LITERAL:
            found.add(folded(chr(value)))
        elif value is op.CATEGORY_DIGIT:
            found.update(_digits())
        elif kind is op.RANGE and value[1] - value[0] < _MAX_CHARACTERS:
            found.update(folded(chr(code)) for code in range(value[0], value[1] + 1))
        else:
            return _NOTHING
    return frozenset(found)


@cache
def _digits() -> list[str]:
    """Returns the decimal digits of all scripts."""
    return [character for character in map(chr, range(sys.maxunicode + 1)) if character.isdecimal()]


def _rarity(words: frozenset[str]) -> tuple[float, int]:
    """Returns how rare the words are in a text, judged by the most frequent of them; then how few they are."""
    return min(map(_weight_of_word, words), default=0.0), -len(words)


def _weight_of_word(word: str) -> float:
    word = word.lstrip(START)
    return _FREQUENT_WEIGHT if word.strip() in _FREQUENT else sum(map(_weight, word))


def _weight(character: str) -> float:
    if character > "\u2e80":
        return 3.0  # one of thousands of Chinese characters
    return 1.0 if character.isalpha() else 0.25 if character in " .,'-" else 2.0
