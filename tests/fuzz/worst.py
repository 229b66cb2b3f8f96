"""Generates the worst texts for a regular expression: its repetitions, extended, and cut off before it can match.

Read from the pattern as `re` has parsed it. Exponential and quadratic matching need a repetition that can begin at many
places or divide its text in many ways; both show on runs of one character, of two that alternate, and of the pattern's own
examples without their end.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from itertools import islice, product
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

from tests.fuzz.patterns import Known

#: Length of the worst text, and of the texts among which it is searched [characters].
SIZE, PROBE = 20_000, 1_000
_REPEATS = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)
_COMMON = ("a", "0", " ", "\n", ".", "é", "都", "A")
_ONE_OF = {
    op.CATEGORY_DIGIT: "0",
    op.CATEGORY_SPACE: " ",
    op.CATEGORY_WORD: "a",
    op.CATEGORY_NOT_DIGIT: "-",
    op.CATEGORY_NOT_SPACE: "a",
    op.CATEGORY_NOT_WORD: "-",
}
_MOST_PAIRS, _MOST_UNITS, _MOST_ALPHABET = 90, 60, 24
#: Number of the slowest short texts that are measured at full length.
_LONG = 2
#: A short text that takes this long is not extended [s].
_HOPELESS_S = 0.1


class Shape(NamedTuple):
    """A text of any length: head, repeated unit, tail."""

    head: str
    unit: str
    tail: str
    as_text: bool = True

    def text(self, size: int) -> str:
        """Returns the text with about `size` characters."""
        return self.head + self.unit * max(1, (size - len(self.head) - len(self.tail)) // len(self.unit)) + self.tail

    def given(self, size: int) -> str | bytes:
        """Returns the text in the type that the pattern accepts."""
        text = self.text(size)
        return text if self.as_text else text.encode("latin-1", "replace")


class Timed(NamedTuple):
    """The CPU time of one pattern for its worst text."""

    cpu_s: float
    name: str
    method: str
    shape: Shape
    ask: Callable[[Any], object]
    size: int

    @property
    def text(self) -> str | bytes:
        """Returns the measured text."""
        return self.shape.given(self.size)


def shapes(pattern: re.Pattern[str] | re.Pattern[bytes]) -> Iterator[Shape]:
    """Yields texts that may be slow for a pattern."""
    source = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    tree = _parsed(source, pattern.flags)
    alphabet = list(dict.fromkeys((*islice(_alphabet(tree), _MOST_ALPHABET), *_COMMON)))
    for one in alphabet:
        yield Shape("", one, "")
    units = dict.fromkeys(_units(tree, ""))
    for prefix, unit, rest in islice(units, _MOST_UNITS):
        if unit:
            yield Shape(prefix, unit, f"{rest[:-1]}\x00")
            yield Shape("", f"{prefix}{unit * 40}{rest[:-1]}\x00", "")
            yield Shape("", prefix + unit, "\x00")
    if units:
        for one, other in islice(product(alphabet, alphabet), _MOST_PAIRS):
            if one != other:
                yield Shape("", one + other, "\x00")
    whole = _example(tree)
    for unit in (whole, whole[:-1], whole[1:]):
        if unit:
            yield Shape("", unit, "")


def worst(known: Known) -> Timed:
    """Returns the slowest use of a pattern: the texts are compared at a short length, then measured at full length, or at the
    length at which it is already too slow.
    """
    found: list[Timed] = []
    as_text = isinstance(known.pattern.pattern, str)
    candidates = [shape._replace(as_text=as_text) for shape in dict.fromkeys(shapes(known.pattern))]
    for method in known.methods:
        ask = _asked(known.pattern, method)
        timed = list[tuple[float, Shape]]()
        for shape in candidates:
            timed.append((cpu_s(ask, shape.given(PROBE)), shape))
            if timed[-1][0] > _HOPELESS_S:
                break
        for short_s, shape in sorted(timed, reverse=True)[:_LONG]:
            spent_s, size = short_s, PROBE
            while size < SIZE and spent_s <= _HOPELESS_S:
                size = min(4 * size, SIZE)
                spent_s = cpu_s(ask, shape.given(size))
            found.append(Timed(spent_s, known.name, method, shape, ask, size))
    return max(found, key=lambda one: one.cpu_s)


def nested(pattern: re.Pattern[str] | re.Pattern[bytes]) -> bool:
    """Returns whether an unbounded repetition contains only another one, which takes exponential time."""
    source = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    return any(
        _is_endless(value) and _only_repeats(value[2]) for kind, value in _repeats(_parsed(source, pattern.flags))
    )


def _is_endless(repeat: Any) -> bool:
    return bool(repeat[1] is op.MAXREPEAT)


def _only_repeats(items: Any) -> bool:
    """Returns whether a path through the items has an unbounded repetition and no mandatory item next to it."""
    found = False
    for kind, value in items:
        if kind in (op.MAX_REPEAT, op.MIN_REPEAT):
            if _is_endless(value):
                found = True
            elif value[0] > 0:
                if not _only_repeats(value[2]):
                    return False
                found = True
        elif kind is op.SUBPATTERN:
            if not _only_repeats(value[-1]):
                return False
            found = True
        elif kind is op.BRANCH:
            if not any(map(_only_repeats, value[1])):
                return False
            found = True
        elif kind not in (op.AT, op.ASSERT, op.ASSERT_NOT):
            return False
    return found


def _repeats(items: Any) -> Iterator[tuple[Any, Any]]:
    for kind, value in items:
        if kind in (op.MAX_REPEAT, op.MIN_REPEAT):
            yield kind, value
            yield from _repeats(value[2])
        else:
            for inner in _inside(kind, value):
                yield from _repeats(inner)


def _inside(kind: Any, value: Any) -> list[Any]:
    """Returns the sequences of items within an item."""
    if kind is op.BRANCH:
        return list(value[1])
    if kind is op.POSSESSIVE_REPEAT:
        return [value[2]]
    if kind is op.SUBPATTERN:
        return [value[-1]]
    if kind in (op.ASSERT, op.ASSERT_NOT):
        return [value[1]]
    return [value] if kind is op.ATOMIC_GROUP else []


def _parsed(source: str, flags: int) -> Any:
    return _parser.parse(source, flags & ~re.UNICODE & ~re.DEBUG)


def cpu_s(call: Callable[[Any], object], given: object, tries: int = 1) -> float:
    """Returns the CPU time of this thread, the best of several tries, to exclude other load."""
    best = float("inf")
    for _ in range(tries):
        begun = time.thread_time()
        call(given)
        best = min(best, time.thread_time() - begun)
    return best


def _asked(pattern: Any, method: str) -> Callable[[Any], object]:
    match method:
        case "finditer" | "findall":
            return lambda text: sum(1 for _ in pattern.finditer(text))
        case "sub":
            return lambda text: pattern.sub(" " if isinstance(pattern.pattern, str) else b" ", text)
        case _:
            return getattr(pattern, method)  # type: ignore[no-any-return]


def _units(items: Any, before: str) -> Iterator[tuple[str, str, str]]:
    """Yields (items before, repeated items, items after) of every repetition."""
    items = list(items)
    for place, (kind, value) in enumerate(items):
        prefix, rest = before + _example(items[:place]), _example(items[place + 1 :])
        if kind in _REPEATS:
            if value[1] > 1:
                yield prefix, _example(value[2]), rest
                for other in _variants(value[2]):
                    yield prefix, other, rest
            yield from _units(value[2], prefix)
        elif kind is op.SUBPATTERN:
            yield from _units(value[-1], prefix)
        elif kind is op.ATOMIC_GROUP:
            yield from _units(value, prefix)
        elif kind is op.BRANCH:
            for part in value[1]:
                yield from _units(part, prefix)
        elif kind in (op.ASSERT, op.ASSERT_NOT):
            yield from _units(value[1], prefix)


def _variants(items: Any) -> Iterator[str]:
    """Yields other single characters that a repeated class matches."""
    items = list(items)
    if len(items) == 1 and items[0][0] is op.IN:
        yield from _members(items[0][1])


def _alphabet(items: Any) -> Iterator[str]:
    for kind, value in items:
        if kind is op.LITERAL:
            yield chr(value)
        elif kind is op.IN:
            yield from _members(value)
        elif kind in _REPEATS:
            yield from _alphabet(value[2])
        elif kind is op.SUBPATTERN:
            yield from _alphabet(value[-1])
        elif kind is op.ATOMIC_GROUP:
            yield from _alphabet(value)
        elif kind is op.BRANCH:
            for part in value[1]:
                yield from _alphabet(part)
        elif kind in (op.ASSERT, op.ASSERT_NOT):
            yield from _alphabet(value[1])


def _members(members: Any) -> Iterator[str]:
    if (op.NEGATE, None) in members:
        excluded = set(_members([member for member in members if member != (op.NEGATE, None)]))
        yield from (one for one in ("a", " ", "0", "-", "都", "é", "\n") if one not in excluded)
        return
    for kind, value in members:
        if kind is op.LITERAL:
            yield chr(value)
        elif kind is op.RANGE:
            yield chr(value[0])
        elif kind is op.CATEGORY and value in _ONE_OF:
            yield _ONE_OF[value]


def _example(items: Any) -> str:
    """Returns a short text that the items match, as far as assertions allow it."""
    found = ""
    for kind, value in items:
        if kind is op.LITERAL:
            found += chr(value)
        elif kind is op.NOT_LITERAL:
            found += "a" if value != ord("a") else "b"
        elif kind is op.ANY:
            found += "a"
        elif kind is op.IN:
            found += next(_members(value), "a")
        elif kind in _REPEATS:
            found += _example(value[2]) * min(value[0], 30)
        elif kind is op.SUBPATTERN:
            found += _example(value[-1])
        elif kind is op.ATOMIC_GROUP:
            found += _example(value)
        elif kind is op.BRANCH:
            found += _example(value[1][0])
    return found
