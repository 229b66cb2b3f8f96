"""A record that makes the code raise: its neighbours are applied as if it were not there, and it becomes a dead letter."""

from __future__ import annotations

import pytest

from schemas import codec
from schemas.control import DeadLetter
from workers.adapters.isolation import MOST_IN_A_ROW, Isolated
from workers.core.lane import Effects
from workers.ports import Output, Record

POISON = b"poison"


class Sum:
    """A core that counts into a store, is ahead of it until a commit, and cannot stand poison."""

    def __init__(self, store: list[bytes], error: type[Exception] = ValueError) -> None:
        self._applied = list(store)
        self._error = error

    def apply(self, records: list[Record], wall_s: float, *, caught_up: bool) -> Effects:
        for record in records:
            if record.value == POISON:
                raise self._error("no")
            self._applied.append(record.value or b"")
        return Effects(outputs=[Output("sums", None, b",".join(self._applied))], clock_s=wall_s)


def record(offset: int, value: bytes) -> Record:
    return Record(topic="t", partition=1, offset=offset, key=b"k", value=value, appended_at_s=1.0)


def records(*values: bytes) -> list[Record]:
    return [record(offset, value) for offset, value in enumerate(values)]


def run(values: list[Record], error: type[Exception] = ValueError) -> tuple[list[bytes], list[DeadLetter]]:
    """What is applied in all, and the dead letters, when each batch is committed before the next."""
    store: list[bytes] = []
    letters: list[DeadLetter] = []
    core = Isolated(lambda: Sum(store, error), "personalise")
    waiting = values
    while waiting:
        effects = core.apply(waiting, 2.0, caught_up=True)
        store[:] = (effects.outputs[0].value or b"").split(b",") if effects.outputs[0].value else []
        letters += [codec.decode(DeadLetter, one.value) for one in effects.outputs if one.topic == "dead.letters"]
        assert effects.tally["dead_letters", "personalise", "handler_error"] == len(effects.outputs) - 1
        assert effects.more_due == bool(effects.deferred)
        waiting = effects.deferred
    return store, letters


@pytest.mark.parametrize("number", range(1, 9))
def test_wherever_it_stands_everything_else_is_applied_once(number: int) -> None:
    for place in range(number):
        values = [b"%d" % index for index in range(number)]
        values[place] = POISON
        store, letters = run(records(*values))
        assert store == [value for value in values if value != POISON]
        assert [(one.topic, one.partition, one.offset, one.detail) for one in letters] == [
            ("t", 1, place, "ValueError")
        ]


def test_each_of_several_becomes_a_dead_letter() -> None:
    store, letters = run(records(POISON, b"1", POISON, POISON, b"2"))
    assert store == [b"1", b"2"]
    assert [one.offset for one in letters] == [0, 2, 3]


def test_a_batch_without_one_is_applied_whole_by_the_same_core() -> None:
    built = 0

    def build() -> Sum:
        nonlocal built
        built += 1
        return Sum([])

    core = Isolated(build, "personalise")
    for _ in range(3):
        core.apply(records(b"1", b"2"), 2.0, caught_up=True)
    assert built == 1


def test_what_no_record_has_caused_ends_the_worker() -> None:
    class Broken:
        def apply(self, records: list[Record], wall_s: float, *, caught_up: bool) -> Effects:
            raise KeyError("a timer")

    with pytest.raises(KeyError):
        Isolated(Broken, "personalise").apply(records(b"1"), 2.0, caught_up=True)


@pytest.mark.parametrize("error", [OSError, Exception, RuntimeError])
def test_a_broken_disk_is_no_fault_of_a_record(error: type[Exception]) -> None:
    with pytest.raises(error):
        run(records(b"1", POISON), error)


def test_when_one_after_another_raises_the_worker_stops() -> None:
    with pytest.raises(ValueError, match="no"):
        run(records(*[POISON] * (MOST_IN_A_ROW + 1)))
    store, letters = run(records(*[POISON] * MOST_IN_A_ROW, b"1", *[POISON] * MOST_IN_A_ROW))
    assert (store, len(letters)) == ([b"1"], 2 * MOST_IN_A_ROW)
