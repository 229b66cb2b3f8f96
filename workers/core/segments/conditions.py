"""Compiles a playbook's target group and segment conditions, once, into predicates over customers.

Strings compare case-insensitively, and with numbers by their numeric value. A missing value makes every comparison false (`known:
false` true), and so does a value of an incomparable type: a condition never raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from schemas.base import TraitValue
from schemas.numerals import number
from workers.core.playbook.audiences import Audiences, Condition

#: Reads one customer's features: (root, name) → value; name is "" for roots without names.
Lookup = Callable[[str, str], TraitValue]
S = TypeVar("S")
#: (root, name) → the function that reads the field, resolved once instead of per customer: core.segments.features.reader,
#: or `by_lookup`.
Reader = Callable[[str, str], Callable[[S], TraitValue]]
Predicate = Callable[[S], bool]
#: The path of a mistake within a condition, and its description: (("any", 0, "field"), "...; allowed: ...").
Mistake = tuple[tuple[str | int, ...], str]

NAMED_ROOTS = ("traits", "count", "decayed", "interest")
NUMBERS = ("orders", "revenue", "days_since_last_order", "days_since_last_seen", "price_max")
TEXTS = ("language", "locale", "timezone")
_OPERATORS = ("equals", "one_of", "contains", "at_least", "at_most", "known")
_COMBINATIONS = ("all", "any", "none")
_FOR_NUMBERS = ("equals", "at_least", "at_most", "known")
_FOR_TEXTS = ("equals", "one_of", "contains", "known")
_FIELDS = (*(f"{root}.NAME" for root in NAMED_ROOTS), *NUMBERS, *TEXTS)


def by_lookup(root: str, name: str) -> Callable[[Lookup], TraitValue]:
    """Returns the reader for customers given as lookups."""
    return lambda lookup: lookup(root, name)


class Groups(Generic[S]):
    """The compiled audiences of a playbook, for customers read by `reader`.

    Raises ValueError, which names what is allowed, if a condition is invalid.
    """

    def __init__(self, audiences: Audiences, reader: Reader[S]) -> None:
        self._groups = [(group.id, compile_condition(group.when, reader)) for group in audiences.target_groups]
        self._default = audiences.default_target_group
        self._segments = [(segment.id, compile_condition(segment.when, reader)) for segment in audiences.segments]
        rules = [*(group.when for group in audiences.target_groups), *(segment.when for segment in audiences.segments)]
        fields = {field for rule in rules for field in _fields(rule)}
        self._counted = frozenset(name for root, name in fields if root in ("count", "decayed"))
        self._last_seen = ("days_since_last_seen", "") in fields

    def depends_on(self, counted: str) -> bool:
        """Returns whether another event of this name alone can change a customer's group or segments."""
        return self._last_seen or counted in self._counted

    def target_group(self, customer: S) -> str:
        """Returns the first group whose condition holds, else the default."""
        return next((group for group, holds in self._groups if holds(customer)), self._default)

    def segments(self, customer: S) -> list[str]:
        """Returns every segment whose condition holds, in the order of the playbook."""
        return [segment for segment, holds in self._segments if holds(customer)]


def compile_condition(condition: Condition, reader: Reader[S]) -> Predicate[S]:
    """Compiles a condition into a predicate over customers.

    Raises ValueError naming the first mistake and what is allowed.

    >>> adult = compile_condition(Condition(field="traits.age", at_least=18), by_lookup)
    >>> adult(lambda root, name: 30), adult(lambda root, name: "thirty"), adult(lambda root, name: None)
    (True, False, False)
    """
    for path, wrong in mistakes(condition):
        raise ValueError(f"{'.'.join(map(str, path))}: {wrong}")
    return _compile(condition, reader)


def _fields(condition: Condition) -> Iterator[tuple[str, str]]:
    """Yields (root, name) of every field that a condition reads."""
    if condition.field is not None:
        root, _, name = condition.field.partition(".")
        yield root, name
    for part in (*(condition.all or ()), *(condition.any or ()), *(condition.none or ())):
        yield from _fields(part)


def mistakes(condition: Condition) -> Iterator[Mistake]:
    """Yields every mistake in a condition and in those nested inside it."""
    operators = [name for name in _OPERATORS if getattr(condition, name) is not None]
    combinations = [name for name in _COMBINATIONS if getattr(condition, name) is not None]
    if combinations:
        if len(combinations) > 1 or operators or condition.field is not None:
            yield (combinations[0],), "is combined with other comparisons; allowed: one of all, any, none on its own"
        for name in combinations:
            inner: list[Condition] = getattr(condition, name)
            if not inner:
                yield (name,), "is empty; allowed: at least one condition"
            for index, part in enumerate(inner):
                for path, wrong in mistakes(part):
                    yield (name, index, *path), wrong
        return
    if condition.field is None:
        yield (), f"has no comparison; allowed: `field` with one of {', '.join(_OPERATORS)}, or all, any, none"
        return
    root, _, name = condition.field.partition(".")
    if (root in NAMED_ROOTS and not name) or (root not in NAMED_ROOTS and condition.field not in NUMBERS + TEXTS):
        yield ("field",), f"`{condition.field}` is not known; allowed: {', '.join(_FIELDS)}"
        return
    if len(operators) != 1 and operators != ["at_least", "at_most"]:
        found = " and ".join(operators) or "none"
        yield (), f"has {found} as its comparison; allowed: one of {', '.join(_OPERATORS)}, or at_least with at_most"
        return
    fitting = _OPERATORS if root == "traits" else _FOR_TEXTS if condition.field in TEXTS else _FOR_NUMBERS
    for operator in operators:
        if operator not in fitting:
            yield (operator,), f"does not fit `{condition.field}`; allowed: {', '.join(fitting)}"
    if fitting is _FOR_NUMBERS and condition.equals is not None and _number(condition.equals) is None:
        yield ("equals",), f"{condition.equals!r} does not fit `{condition.field}`; allowed: a number"


def _compile(condition: Condition, reader: Reader[S]) -> Predicate[S]:
    if condition.all is not None:
        return _every([_compile(part, reader) for part in condition.all])
    if condition.any is not None:
        return _some([_compile(part, reader) for part in condition.any])
    if condition.none is not None:
        matches = _some([_compile(part, reader) for part in condition.none])
        return lambda customer: not matches(customer)
    root, _, name = (condition.field or "").partition(".")
    read, holds = reader(root, name), _comparison(condition)
    return lambda customer: holds(read(customer))


def _every(parts: list[Predicate[S]]) -> Predicate[S]:
    def holds(customer: S) -> bool:
        for part in parts:  # a generator costs more than the comparisons  # noqa: SIM110
            if not part(customer):
                return False
        return True

    return holds


def _some(parts: list[Predicate[S]]) -> Predicate[S]:
    def holds(customer: S) -> bool:
        for part in parts:  # as above  # noqa: SIM110
            if part(customer):
                return True
        return False

    return holds


def _comparison(condition: Condition) -> Callable[[TraitValue], bool]:
    if condition.known is not None:
        known = condition.known
        return lambda value: (value is not None) is known
    if condition.equals is not None:
        expected = _folded(condition.equals)
        if expected[0] == "number":
            return lambda value: not isinstance(value, bool) and _number(value) == expected[1]
        return lambda value: value is not None and _folded(value) == expected
    if condition.one_of is not None:
        accepted = frozenset(text.casefold() for text in condition.one_of)
        return lambda value: any(item.casefold() in accepted for item in _texts(value))
    if condition.contains is not None:
        part = condition.contains.casefold()
        return lambda value: (
            any(item.casefold() == part for item in value)
            if isinstance(value, list)
            else isinstance(value, str) and part in value.casefold()
        )
    low = float("-inf") if condition.at_least is None else condition.at_least
    high = float("inf") if condition.at_most is None else condition.at_most
    return lambda value: (number := _number(value)) is not None and low <= number <= high


def _folded(value: TraitValue) -> tuple[str, object]:
    """Returns the value with its kind, for comparison: True does not equal 1."""
    if isinstance(value, bool):
        return "flag", value
    if isinstance(value, int | float):
        return "number", value
    if isinstance(value, str):
        return "text", value.casefold()
    return "other", value


def _texts(value: TraitValue) -> list[str]:
    if isinstance(value, str):
        return [value]
    return value if isinstance(value, list) else []


def _number(value: TraitValue) -> float | int | None:
    """Returns the value as a number, even if it is given as text; None if it is not a number."""
    if isinstance(value, str):
        return number(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
