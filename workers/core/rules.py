"""The rules of a playbook, compiled once: who belongs to which target group and which segments.

Strings compare without regard to case. A missing value makes every comparison false (`known: false` true), and so does
a value of a type that does not compare: a rule never raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from schemas.base import TraitValue
from workers.core.playbook import Audiences, Condition

#: Reads one profile: (root, name) → value; name is "" for roots that have none. See core.facts.lookup.
Lookup = Callable[[str, str], TraitValue]
Predicate = Callable[[Lookup], bool]
#: Where in a condition something is wrong, and what: (("any", 0, "field"), "...; allowed: ...").
Mistake = tuple[tuple[str | int, ...], str]

NAMED_ROOTS = ("traits", "count", "decayed", "interest")
NUMBERS = ("orders", "revenue", "days_since_last_order", "days_since_last_seen", "price_max")
WORDS = ("language", "locale", "timezone")
_OPERATORS = ("equals", "one_of", "contains", "at_least", "at_most", "known")
_COMBINATIONS = ("all", "any", "none")
_FOR_NUMBERS = ("equals", "at_least", "at_most", "known")
_FOR_WORDS = ("equals", "one_of", "contains", "known")
_FIELDS = (*(f"{root}.NAME" for root in NAMED_ROOTS), *NUMBERS, *WORDS)


class Groups:
    """The compiled audiences of a playbook.

    Raises ValueError (with what is allowed) if a condition is not valid.
    """

    def __init__(self, audiences: Audiences) -> None:
        self._groups = [(group.id, compile_condition(group.when)) for group in audiences.target_groups]
        self._default = audiences.default_target_group
        self._segments = [(segment.id, compile_condition(segment.when)) for segment in audiences.segments]

    def target_group(self, lookup: Lookup) -> str:
        """The first group whose rule holds, else the default."""
        return next((group for group, holds in self._groups if holds(lookup)), self._default)

    def segments(self, lookup: Lookup) -> list[str]:
        """Every segment whose rule holds, in the order of the playbook."""
        return [segment for segment, holds in self._segments if holds(lookup)]


def compile_condition(condition: Condition) -> Predicate:
    """A condition as a predicate.

    Raises ValueError naming the first mistake and what is allowed.

    >>> adult = compile_condition(Condition(field="traits.age", at_least=18))
    >>> adult(lambda root, name: 30), adult(lambda root, name: "thirty"), adult(lambda root, name: None)
    (True, False, False)
    """
    for path, wrong in mistakes(condition):
        raise ValueError(f"{'.'.join(map(str, path))}: {wrong}")
    return _compile(condition)


def mistakes(condition: Condition) -> Iterator[Mistake]:
    """Everything that is wrong with a condition and those inside it."""
    operators = [name for name in _OPERATORS if getattr(condition, name) is not None]
    combinations = [name for name in _COMBINATIONS if getattr(condition, name) is not None]
    if combinations:
        if len(combinations) > 1 or operators or condition.field is not None:
            yield (combinations[0],), "stands beside other comparisons; allowed: one of all, any, none alone"
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
    if (root in NAMED_ROOTS and not name) or (root not in NAMED_ROOTS and condition.field not in NUMBERS + WORDS):
        yield ("field",), f"`{condition.field}` is not known; allowed: {', '.join(_FIELDS)}"
        return
    if len(operators) != 1 and operators != ["at_least", "at_most"]:
        found = " and ".join(operators) or "none"
        yield (), f"has {found} as comparison; allowed: one of {', '.join(_OPERATORS)}, or at_least with at_most"
        return
    fitting = _OPERATORS if root == "traits" else _FOR_WORDS if condition.field in WORDS else _FOR_NUMBERS
    for operator in operators:
        if operator not in fitting:
            yield (operator,), f"does not fit `{condition.field}`; allowed: {', '.join(fitting)}"
    if fitting is _FOR_NUMBERS and condition.equals is not None and _number(condition.equals) is None:
        yield ("equals",), f"{condition.equals!r} does not fit `{condition.field}`; allowed: a number"


def _compile(condition: Condition) -> Predicate:
    if condition.all is not None:
        parts = [_compile(part) for part in condition.all]
        return lambda lookup: all(part(lookup) for part in parts)
    if condition.any is not None:
        parts = [_compile(part) for part in condition.any]
        return lambda lookup: any(part(lookup) for part in parts)
    if condition.none is not None:
        parts = [_compile(part) for part in condition.none]
        return lambda lookup: not any(part(lookup) for part in parts)
    root, _, name = (condition.field or "").partition(".")
    holds = _comparison(condition)
    return lambda lookup: holds(lookup(root, name))


def _comparison(condition: Condition) -> Callable[[TraitValue], bool]:
    if condition.known is not None:
        known = condition.known
        return lambda value: (value is not None) is known
    if condition.equals is not None:
        expected = _folded(condition.equals)
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
    """Comparable with its kind: True is not 1, and "1" is not 1."""
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
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
