"""What follows from things that never change is worked out once, and never mistaken for another thing's."""

from __future__ import annotations

import gc

from workers.core.common.memoize import memoize_by_identity


class Thing:
    """Cannot be hashed."""

    __hash__ = None  # type: ignore[assignment] # as a struct with a dictionary

    def __init__(self, name: str) -> None:
        self.name = name


def test_each_thing_and_question_is_asked_once() -> None:
    asked: list[tuple[str, int]] = []

    @memoize_by_identity
    def answer(thing: Thing, number: int) -> str:
        asked.append((thing.name, number))
        return f"{thing.name}{number}"

    one, other = Thing("a"), Thing("b")
    for _ in range(3):
        assert (answer(one, 1), answer(one, 2), answer(other, 1)) == ("a1", "a2", "b1")
    assert asked == [("a", 1), ("a", 2), ("b", 1)]


def test_a_thing_in_the_place_of_one_that_is_gone_is_not_taken_for_it() -> None:
    @memoize_by_identity
    def name(thing: Thing) -> str:
        return thing.name

    for number in range(1000):
        assert name(Thing(str(number))) == str(number)
        gc.collect(0)


def test_what_is_remembered_is_bounded() -> None:
    @memoize_by_identity
    def name(thing: Thing, number: int) -> list[int]:
        return [number]

    thing = Thing("a")
    first = name(thing, 0)
    for number in range(1, 10_001):
        name(thing, number)
    assert name(thing, 0) == first
    assert name(thing, 0) is not first
