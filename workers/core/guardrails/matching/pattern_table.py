r"""Searches tables of long patterns fast: only those alternatives are tried whose required words occur in the text.

Python's `re` tries one alternative after another at every position of a text; with hundreds of words that takes a millisecond.
Here each alternative is parsed once to find a set of words of which it needs one (required_literals.py), and whether that word
must begin a word of the text. A single pass over the text (Aho-Corasick) finds which of these words occur: usually none. An
alternative that needs no word (`\w{3,}`) is always tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property

import msgspec
from ahocorasick_rs import AhoCorasick

from workers.core.guardrails.matching.alternatives import flat, letter_first
from workers.core.guardrails.matching.required_literals import START, also_required, folded, required_literals


class _Alternatives(msgspec.Struct, frozen=True):
    """The alternatives of a table in order (index of the name, expression), and which of them to try: `always`, and for each
    word of the automaton those triggered `anywhere` and those triggered only `at_start` of a word. `also_required`: for each
    alternative, a second set of words of which it needs one.
    """

    table: list[tuple[int, str]]
    always: list[int]
    anywhere: list[tuple[int, ...]]
    at_start: list[tuple[int, ...]]
    also_required: list[tuple[str, ...]]
    automaton: AhoCorasick


class PatternTable:
    """A table of name → pattern. Patterns must not contain backreferences, and their groups are not reported.

    >>> screen = PatternTable({"money": r"\\bcash\\b|\\bcoupons?", "time": r"now|soon"})
    >>> [(name, found.group()) for name, found in screen.found("come soon, the coupon ends")]
    [('money', 'coupon'), ('time', 'soon')]
    """

    def __init__(self, table: Mapping[str, str], flags: re.RegexFlag = re.NOFLAG) -> None:
        self._names, self._patterns, self._flags = tuple(table), tuple(table.values()), flags

    @classmethod
    def of(cls, pattern: str, flags: re.RegexFlag = re.NOFLAG) -> PatternTable:
        """Returns a table of one pattern."""
        return cls({"": pattern}, flags)

    def found(self, text: str) -> Iterator[tuple[str, re.Match[str]]]:
        """Yields (name, its first match in the text) for each pattern that matches, in the order of the table."""
        name, first = -1, None
        for place, match in self._matches(text):
            if place != name and first is not None:
                yield self._names[name], first
            if place != name or first is None or match.start() < first.start():
                name, first = place, match
        if first is not None:
            yield self._names[name], first

    def first(self, text: str) -> tuple[str, re.Match[str]] | None:
        """Returns the first item of `found`; None = no pattern matches."""
        return next(self.found(text), None)

    def search(self, text: str) -> re.Match[str] | None:
        """Returns the first match of the first pattern that matches; None = there is none."""
        found = self.first(text)
        return None if found is None else found[1]

    def every(self, text: str) -> Iterator[tuple[str, re.Match[str]]]:
        """Yields (name, match) for all matches of all alternatives; several may overlap."""
        for number in self._tried(text):
            place, source = self._parts.table[number]
            for match in _compiled(source, self._flags).finditer(text):
                yield self._names[place], match

    def without(self, text: str) -> str:
        """Returns the text with every match replaced by spaces."""
        return blanked(text, (found.span() for _, found in self.every(text)))

    def _matches(self, text: str) -> Iterator[tuple[int, re.Match[str]]]:
        for number in self._tried(text):
            place, source = self._parts.table[number]
            if match := _compiled(source, self._flags).search(text):
                yield place, match

    def _tried(self, text: str) -> list[int]:
        parts = self._parts
        folded_text = folded(text)
        hits = parts.automaton.find_matches_as_indexes(folded_text, overlapping=True)
        if not hits:
            return parts.always
        tried = set(parts.always)
        in_place = len(folded_text) == len(text)  # otherwise a hit's position in the text is unknown
        for word, start, _ in hits:
            tried.update(parts.anywhere[word])
            if parts.at_start[word] and not (in_place and start and "a" <= text[start - 1] <= "z"):
                tried.update(parts.at_start[word])
        return [number for number in sorted(tried) if _contains_any(folded_text, parts.also_required[number])]

    @cached_property  # long tables take a while to parse, and not every process checks texts
    def _parts(self) -> _Alternatives:
        table = [(place, part) for place, pattern in enumerate(self._patterns) for part in flat(pattern)]
        always, anywhere, at_start = list[int](), dict[str, list[int]](), dict[str, list[int]]()
        for number, (_, source) in enumerate(table):
            needed = required_literals(source, self._flags)
            if not needed:
                always.append(number)
            for word in needed:
                (at_start if word.startswith(START) else anywhere).setdefault(word.lstrip(START), []).append(number)
        words = list(anywhere | at_start)
        return _Alternatives(
            table,
            always,
            [tuple(anywhere.get(word, ())) for word in words],
            [tuple(at_start.get(word, ())) for word in words],
            [tuple(also_required(source, self._flags)) for _, source in table],
            AhoCorasick(words),
        )


def blanked(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """Returns the text with the spans (start, end) replaced by spaces; they may overlap.

    >>> blanked("only 7 left", [(0, 4), (3, 6)])
    '       left'
    """
    parts, done = list[str](), 0
    for start, end in sorted(spans):
        if end > done:
            parts += text[done:start], " " * (end - max(start, done))
            done = end
    return "".join((*parts, text[done:]))


def _contains_any(text: str, words: tuple[str, ...]) -> bool:
    """Returns whether the text contains one of the words, or `words` is empty."""
    for word in words:  # takes half the time of `any` with a generator
        if word in text:
            return True
    return not words


@cache
def _compiled(source: str, flags: re.RegexFlag) -> re.Pattern[str]:
    return re.compile(letter_first(source), flags)
