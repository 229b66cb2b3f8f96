r"""Tables of long patterns, looked for quickly: of their alternatives only those are tried that a text has the words for.

Python's `re` tries one alternative after the other at every place of a text; hundreds of words take it a millisecond. Here
each alternative is read once for words of which it needs one, and whether a word of the text must begin with it. A single
pass over a text (Aho-Corasick) tells which of all these it has: mostly none. An alternative that needs no word (`\w{3,}`)
is always tried.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import msgspec
from ahocorasick_rs import AhoCorasick

_BEGINS = re.compile(r"\\b|\(\?<[!=][^()]*\)")
_ENDS = re.compile(r"\\b|\(\?[!=][^()]*\)")
_GROUPS = (op.SUBPATTERN, op.ATOMIC_GROUP)
_ONE_CHARACTER = (op.LITERAL, op.IN)
_WITHOUT_WIDTH = (op.AT, op.ASSERT, op.ASSERT_NOT)
_LATIN_MEMBERS = frozenset(((op.RANGE, (ord("a"), ord("z"))), (op.CATEGORY, op.CATEGORY_WORD)))
_REPEATS = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)
#: Of a part that stands several times so many are looked for.
_MOST_REPEATS = 4
_MOST_BEGINNINGS = 100
#: A class of more characters than this says nothing about a text.
_MOST_CHARACTERS = 60
#: A single Latin letter stands in nearly every text (see _rarity).
_RARE = (2.0, -1000)
#: Words that most texts have are better than none.
_FREQUENT = frozenset(("all", "and", "are", "for", "have", "its", "not", "the", "this", "that", "with", "you", "your"))
_FREQUENT_WEIGHT = 2.0
#: Before a needed word: no Latin letter stands before it in the text.
_START = "\b"
_NOTHING: frozenset[str] = frozenset()


class _Alternatives(msgspec.Struct, frozen=True):
    """The alternatives of a table in its order (place of the name, expression), and which of them to try: `always`, and in
    the order of the automaton's words those `anywhere` waiting for one, and those that wait for one `at_start` of a word.
    """

    table: list[tuple[int, str]]
    always: list[int]
    anywhere: list[tuple[int, ...]]
    at_start: list[tuple[int, ...]]
    automaton: AhoCorasick


class Screen:
    """A table of name → pattern. Patterns have no groups that anybody asks for, and no references to groups.

    >>> screen = Screen({"money": r"\\bcash\\b|\\bcoupons?", "time": r"now|soon"})
    >>> [(name, found.group()) for name, found in screen.found("come soon, the coupon ends")]
    [('money', 'coupon'), ('time', 'soon')]
    """

    def __init__(self, table: Mapping[str, str], flags: re.RegexFlag = re.NOFLAG) -> None:
        self._names, self._patterns, self._flags = tuple(table), tuple(table.values()), flags

    @classmethod
    def of(cls, pattern: str, flags: re.RegexFlag = re.NOFLAG) -> Screen:
        """A table of one pattern."""
        return cls({"": pattern}, flags)

    def found(self, text: str) -> Iterator[tuple[str, re.Match[str]]]:
        """(name, its first match in the text) of each pattern that matches, in the order of the table."""
        name, first = -1, None
        for place, match in self._matches(text):
            if place != name and first is not None:
                yield self._names[name], first
            if place != name or first is None or match.start() < first.start():
                name, first = place, match
        if first is not None:
            yield self._names[name], first

    def first(self, text: str) -> tuple[str, re.Match[str]] | None:
        """The first of `found`; None = no pattern matches."""
        return next(self.found(text), None)

    def search(self, text: str) -> re.Match[str] | None:
        """The first match of the first pattern that matches."""
        found = self.first(text)
        return None if found is None else found[1]

    def every(self, text: str) -> Iterator[tuple[str, re.Match[str]]]:
        """All matches of all alternatives; several may lie at the same place."""
        for number in self._tried(text):
            place, source = self._parts.table[number]
            for match in _compiled(source, self._flags).finditer(text):
                yield self._names[place], match

    def without(self, text: str) -> str:
        """The text, spaces in the place of what matches."""
        for _, found in self.every(text):
            text = text[: found.start()] + " " * len(found.group()) + text[found.end() :]
        return text

    def _matches(self, text: str) -> Iterator[tuple[int, re.Match[str]]]:
        for number in self._tried(text):
            place, source = self._parts.table[number]
            if match := _compiled(source, self._flags).search(text):
                yield place, match

    def _tried(self, text: str) -> list[int]:
        parts = self._parts
        looked_at = folded(text)
        hits = parts.automaton.find_matches_as_indexes(looked_at, overlapping=True)
        if not hits:
            return parts.always
        tried = set(parts.always)
        in_place = len(looked_at) == len(text)  # else no one knows where in the text a hit is
        for word, start, _ in hits:
            tried.update(parts.anywhere[word])
            if parts.at_start[word] and not (in_place and start and "a" <= text[start - 1] <= "z"):
                tried.update(parts.at_start[word])
        return sorted(tried)

    @cached_property  # long tables take a while, and not every process looks at texts
    def _parts(self) -> _Alternatives:
        table = [(place, part) for place, pattern in enumerate(self._patterns) for part in _flat(pattern)]
        always, anywhere, at_start = list[int](), dict[str, list[int]](), dict[str, list[int]]()
        for number, (_, source) in enumerate(table):
            needed = needed_words(source, self._flags)
            if not needed:
                always.append(number)
            for word in needed:
                (at_start if word.startswith(_START) else anywhere).setdefault(word.lstrip(_START), []).append(number)
        words = list(anywhere | at_start)
        return _Alternatives(
            table,
            always,
            [tuple(anywhere.get(word, ())) for word in words],
            [tuple(at_start.get(word, ())) for word in words],
            AhoCorasick(words),
        )


def folded(text: str) -> str:
    """Case-folded so that whatever `re.IGNORECASE` takes for the same is the same: I, i, ı and İ are."""
    return text.lower() if text.isascii() else text.replace("İ", "i").casefold().replace("ı", "i")


def needed_words(pattern: str, flags: re.RegexFlag = re.NOFLAG) -> frozenset[str]:
    r"""Folded words of which every text has one that the pattern matches; empty = none can be named.

    Before a word with a leading "\b" stands no small Latin letter.

    >>> sorted(needed_words(r"\bsav(?:e|ing) (?:cash|money)\b")), sorted(needed_words(r"\w+@?"))
    (['\x08save', '\x08saving'], [])
    """
    return _of_sequence(_parser.parse(pattern, flags))


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


@cache
def _compiled(source: str, flags: re.RegexFlag) -> re.Pattern[str]:
    return re.compile(source, flags)


def _of_sequence(items: Any, *, at_start: bool = False) -> frozenset[str]:
    """The rarest words that one of the items needs; letters that follow each other are one, with what follows them.

    `at_start`: no small Latin letter stands before the first item.
    """
    best, letters, letters_at_start = _NOTHING, "", False
    for place, (kind, value) in enumerate(items := [*items, (None, None)]):
        if kind is op.LITERAL:
            letters_at_start = letters_at_start if letters else at_start
            letters, at_start = letters + folded(chr(value)), False
            continue
        if letters:
            longer = {letters + beginning for beginning in _beginnings(items[place:])}
            for words in ({letters}, longer):
                best = max(best, _marked(words, at_start=letters_at_start), key=_rarity)
        letters = ""
        best = max(best, _of_item(kind, value, at_start=at_start), key=_rarity)
        at_start = _begins_word(kind, value) or (at_start and kind in _WITHOUT_WIDTH)
    return best if _rarity(best) >= _RARE else _NOTHING


def _of_item(kind: Any, value: Any, *, at_start: bool) -> frozenset[str]:
    if kind is op.BRANCH:
        parts = [_of_sequence(part, at_start=at_start) for part in value[1]]
        return _NOTHING.union(*parts) if all(parts) else _NOTHING
    if kind in _GROUPS:
        return _of_sequence(value[-1] if kind is op.SUBPATTERN else value, at_start=at_start)
    if kind in _REPEATS and value[0] > 0:
        return _of_sequence([*value[2]] * min(value[0], _MOST_REPEATS), at_start=at_start)
    if kind is op.ASSERT:  # what must follow, or have come before
        return _of_sequence(value[1], at_start=at_start and value[0] > 0)
    if kind is op.IN:
        return _marked(_of_class(value), at_start=at_start)
    return _NOTHING  # what must not be there, and what may be any character


def _beginnings(items: Any) -> set[str]:
    """Letters of which what the items match begins with one; {""} where nobody knows."""
    found = {""}
    for kind, value in items:
        if kind is op.LITERAL:
            following = {folded(chr(value))}
        elif kind is op.IN:
            following = set(_of_class(value))
        elif kind is op.BRANCH:
            following = {word for part in value[1] for word in _beginnings(part)}
        else:
            following = _beginnings(value[-1]) if kind is op.SUBPATTERN else set()
        if not following or len(found) * len(following) > _MOST_BEGINNINGS:
            return found
        found = {word + end for word in found for end in following}
        if kind not in _ONE_CHARACTER:  # what of an alternative follows its beginning is not known
            return found
    return found


def _marked(words: Iterable[str], *, at_start: bool) -> frozenset[str]:
    """The words, marked if a word of the text begins with them."""
    return frozenset(_START + word if at_start and word[:1].isalnum() else word for word in words)


def _begins_word(kind: Any, value: Any) -> bool:
    """Whether a letter or digit right behind this item has no small Latin letter before it."""
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
        elif kind is op.RANGE and value[1] - value[0] < _MOST_CHARACTERS:
            found.update(folded(chr(code)) for code in range(value[0], value[1] + 1))
        else:
            return _NOTHING
    return frozenset(found)


@cache
def _digits() -> list[str]:
    """Of all scripts."""
    return [character for character in map(chr, range(sys.maxunicode + 1)) if character.isdecimal()]


def _rarity(words: frozenset[str]) -> tuple[float, int]:
    """How seldom a text has one of the words, as the most frequent of them tells; then how few they are."""
    return min(map(_weight_of_word, words), default=0.0), -len(words)


def _weight_of_word(word: str) -> float:
    word = word.lstrip(_START)
    return _FREQUENT_WEIGHT if word.strip() in _FREQUENT else sum(map(_weight, word))


def _weight(character: str) -> float:
    if character > "\u2e80":
        return 3.0  # one of thousands of Chinese characters
    return 1.0 if character.isalpha() else 0.25 if character in " .,'-" else 2.0


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
    r"""The alternatives, those of a group that is all of an alternative among them: of `\b(?:a|b)\b|c` they are three."""
    found = []
    for alternative in alternatives(pattern):
        before, inner, after = _whole_group(alternative)
        found += [f"{before}{part}{after}" for part in _flat(inner)] if inner is not None else [alternative]
    return found


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
