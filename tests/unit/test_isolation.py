"""Records that make the code raise: their neighbours are applied as if they were not there, and they become dead letters."""

from __future__ import annotations

import asyncio
import random
import struct
import threading
from collections.abc import Awaitable, Callable

import pytest

from benchmarks.memory_store import MemoryStore
from schemas import codec
from schemas.control import DeadLetter
from workers.adapters.lanes import trial
from workers.adapters.lanes.poison_records import PoisonRecordGuard
from workers.core.errors import Fatal
from workers.core.partition import keys
from workers.core.stream.dead_letter_limits import WINDOW, Limits
from workers.core.stream.effects import Effects, Processor
from workers.core.stream.records import Output, Record, StateStore

POISON, LATE_POISON = b"poison", b"late poison"
SUM = b"sum"


class Sum:
    """A core that notes what it was given, is ahead of its store until a commit, and cannot stand poison.

    Late poison is only noticed at the end of a batch. A batch that is caught up says so.
    """

    built: list[StateStore]

    def __init__(self, store: StateStore, error: type[Exception] = ValueError) -> None:
        self._applied = [value for value in (store.get(SUM) or b"").split(b",") if value]
        self._error = error

    def apply(self, records: list[Record], wall_s: float, *, caught_up: bool) -> Effects:
        for record in records:
            if record.value == POISON:
                self._applied.append(b"half applied")
                raise self._error("no")
            self._applied.append(record.value or b"")
        if LATE_POISON in self._applied:
            raise self._error("not at the end either")
        outputs = [Output("timers", None, b"fired")] if caught_up else []
        return Effects(outputs=outputs, puts=[(SUM, b",".join(self._applied))], clock_s=wall_s)


def records(*values: bytes) -> list[Record]:
    return [
        Record(topic="t", partition=1, offset=offset, key=b"k", value=value, appended_at_s=1.0)
        for offset, value in enumerate(values)
    ]


class Run:
    """A lane with an isolated core; each batch is committed before the next."""

    def __init__(
        self, build: Callable[[StateStore], Processor] = Sum, limits: Limits | None = None, **more: object
    ) -> None:
        self.store = MemoryStore()
        self.builds = 0
        self.letters: list[DeadLetter] = []
        self.turns: list[tuple[int, bool]] = []

        def counted(store: StateStore) -> Processor:
            self.builds += store is self.store
            return build(store)

        self.core = PoisonRecordGuard(counted, self.store, "personalise", limits=limits, **more)  # type: ignore[arg-type]

    def apply(self, waiting: list[Record], *, caught_up: bool = True) -> Effects:
        effects = asyncio.run(self.core.apply(waiting, 2.0, caught_up=caught_up))
        self.store.commit(effects)
        letters = [codec.decode(DeadLetter, one.value) for one in effects.outputs if one.topic == "dead.letters"]
        assert effects.tally["dead_letters", "personalise", "handler_error"] == len(letters)
        self.letters += letters
        self.turns.append((len(waiting) - len(effects.deferred), any(one.topic == "timers" for one in effects.outputs)))
        return effects

    def all(self, *values: bytes) -> list[bytes]:
        """What is applied in all when these are given, until nothing comes again."""
        waiting = records(*values)
        while waiting:
            effects = self.apply(waiting)
            assert effects.more_due or not effects.deferred
            waiting = effects.deferred
        return [value for value in self.store.values.get(SUM, b"").split(b",") if value]


@pytest.mark.parametrize("poison", [POISON, LATE_POISON])
@pytest.mark.parametrize("number", range(1, 9))
def test_wherever_it_stands_everything_else_is_applied_once(number: int, poison: bytes) -> None:
    for place in range(number):
        run, values = Run(), [b"%d" % index for index in range(number)]
        values[place] = poison
        assert run.all(*values) == [value for value in values if value != poison]
        assert [(one.topic, one.partition, one.offset, one.detail) for one in run.letters] == [
            ("t", 1, place, "ValueError")
        ]


def test_each_of_several_becomes_a_dead_letter() -> None:
    rng = random.Random(3)
    for _ in range(50):
        values = [rng.choice((b"1", b"2", b"3", POISON, LATE_POISON)) for _ in range(rng.randrange(1, 30))]
        run, bad = Run(), {POISON, LATE_POISON}
        assert run.all(*values) == [value for value in values if value not in bad]
        assert [one.offset for one in run.letters] == [place for place, value in enumerate(values) if value in bad]


def test_a_batch_without_one_is_applied_whole_by_the_same_core() -> None:
    run = Run()
    for _ in range(3):
        run.apply(records(b"1", b"2"))
    assert run.builds == 1


def test_nothing_that_waits_for_time_leaves_in_the_batch_of_a_record_that_raised() -> None:
    run = Run()
    effects = run.apply(records(b"1", POISON, b"unsubscribe"))
    assert run.turns == [(3, False)]
    assert effects.more_due, "what is due is looked at in the next one"
    run.apply([])
    assert run.turns[-1] == (0, True)


def test_a_batch_full_of_them_costs_one_core_of_the_real_state_and_about_two_tries_a_record() -> None:
    applied = 0

    class Counted(Sum):
        def apply(self, records: list[Record], wall_s: float, *, caught_up: bool) -> Effects:
            nonlocal applied
            effects = super().apply(records, wall_s, caught_up=caught_up)
            applied += len(records)
            return effects

    run, values = Run(Counted), [POISON if number % 20 == 0 else b"x" for number in range(2_000)]
    assert len(run.all(*values)) == 1_900
    assert len(run.letters) == 100
    assert run.builds == 2
    assert applied < 2.5 * len(values)


def test_of_one_batch_so_many_are_found_and_the_rest_comes_again() -> None:
    run = Run(limits=Limits(raised=1.0, raised_in_a_row=0))
    assert run.all(*[POISON] * (2 * trial.MAX_FOUND + 50), b"1") == [b"1"]
    assert [taken for taken, _ in run.turns] == [trial.MAX_FOUND, trial.MAX_FOUND, 51]


def test_the_search_is_made_where_it_does_not_block_and_tells_that_it_moves() -> None:
    beats = 0
    threads: set[int] = set()

    def beat() -> None:
        nonlocal beats
        beats += 1
        threads.add(threading.get_ident())

    def elsewhere(call: Callable[[], Effects]) -> Awaitable[Effects]:
        return asyncio.get_running_loop().run_in_executor(None, call)

    run = Run(blocking=elsewhere, beat=beat)
    run.apply(records(*[b"1", POISON] * 10))
    assert beats >= 20
    assert threading.get_ident() not in threads


def test_effects_that_are_given_up_are_made_again_from_what_is_committed() -> None:
    run = Run()
    asyncio.run(run.core.apply(records(b"1", POISON), 2.0, caught_up=True))
    run.core.discard()
    assert run.all(b"1", POISON, b"2") == [b"1", b"2"]
    assert len(run.letters) == 1


def test_what_no_record_has_caused_ends_the_worker() -> None:
    class Broken:
        def __init__(self, _store: StateStore) -> None:
            pass

        def apply(self, records: list[Record], wall_s: float, *, caught_up: bool) -> Effects:
            raise KeyError("whatever comes")

    class BrokenTimer(Sum):
        def apply(self, records: list[Record], wall_s: float, *, caught_up: bool) -> Effects:
            if caught_up:
                raise KeyError("a timer")
            return super().apply(records, wall_s, caught_up=caught_up)

    for core in (Broken, BrokenTimer):
        with pytest.raises(KeyError):
            Run(core).apply(records(b"1"))


def test_what_raises_only_beside_the_timers_is_found_as_well() -> None:
    class Timed(Sum):
        """Raises for a record that a trial without timers finds in order."""

        def __init__(self, store: StateStore) -> None:
            super().__init__(store)
            self._has_timers = any(store.scan(keys.TIMER))

        def apply(self, records: list[Record], wall_s: float, *, caught_up: bool) -> Effects:
            if self._has_timers and any(record.value == b"2" for record in records):
                raise IndexError
            return super().apply(records, wall_s, caught_up=caught_up)

    run = Run(Timed)
    run.store.values[keys.timer_key(1.0, "ana", "v")] = b""
    run.core.discard()
    assert run.all(b"1", b"2", b"3") == [b"1", b"3"]
    assert [one.offset for one in run.letters] == [1]


@pytest.mark.parametrize("error", [OSError, MemoryError, Fatal])
def test_a_broken_disk_is_no_fault_of_a_record(error: type[Exception]) -> None:
    with pytest.raises(error):
        Run(lambda store: Sum(store, error)).apply(records(b"1", POISON))


@pytest.mark.parametrize("error", [struct.error, KeyError, RecursionError, RuntimeError, UnicodeError, OverflowError])
def test_any_mistake_in_code_is_one(error: type[Exception]) -> None:
    run = Run(lambda store: Sum(store, error))
    assert run.all(b"1", POISON, b"2") == [b"1", b"2"]


# -- records that the core itself has put off ------------------------------------------------------------------------------


class Waiting(Sum):
    """Puts everything of topic `t` off that stands behind a record `wait`, that one included."""

    def apply(self, records: list[Record], wall_s: float, *, caught_up: bool) -> Effects:
        places = [place for place, record in enumerate(records) if record.value == b"wait"]
        first = places[0] if places else len(records)
        now = [record for place, record in enumerate(records) if place < first or record.topic != "t"]
        effects = super().apply(now, wall_s, caught_up=caught_up)
        effects.deferred = [record for record in records[first:] if record.topic == "t"]
        return effects


def test_what_raises_behind_a_record_that_must_wait_waits_too() -> None:
    run = Run(Waiting)
    batch = records(POISON, b"wait", b"1", POISON)
    other = Record(topic="u", partition=1, offset=9, key=b"k", value=POISON, appended_at_s=1.0)
    effects = run.apply([*batch, other])
    assert effects.deferred == batch[1:], "nothing is passed over: progress is one offset a topic"
    assert [(one.topic, one.offset) for one in run.letters] == [("t", 0), ("u", 9)]


# -- how many are too many -------------------------------------------------------------------------------------------------


def test_when_one_behind_another_raises_the_worker_stops_and_what_it_had_taken_stays_taken() -> None:
    run = Run(limits=Limits(raised_in_a_row=10))
    with pytest.raises(Fatal, match=r"make personalise raise ValueError.* Hint: .*raised_in_a_row"):
        run.all(*[POISON] * 11, b"1")
    assert len(run.letters) == 10, "a restart goes on behind them"
    run = Run(limits=Limits(raised_in_a_row=10))
    assert run.all(*[POISON] * 10, b"1", *[POISON] * 10) == [b"1"]
    assert len(run.letters) == 20


def test_more_than_half_of_the_newest_records_stop_the_worker_and_half_of_them_do_not() -> None:
    run = Run(limits=Limits(raised_in_a_row=0))
    assert len(run.all(*[POISON, b"1"] * WINDOW)) == WINDOW
    run = Run(limits=Limits(raised_in_a_row=0))
    with pytest.raises(Fatal):
        run.all(*[POISON, POISON, b"1"] * WINDOW)
    assert WINDOW / 2 <= len(run.letters) <= WINDOW


def test_by_default_one_sender_among_others_stops_nothing() -> None:
    run = Run()
    assert len(run.all(*[b"1", b"2", POISON] * WINDOW)) == 2 * WINDOW


class Strict(Sum):
    """Everything but digits is a dead letter."""

    def apply(self, records: list[Record], wall_s: float, *, caught_up: bool) -> Effects:
        effects = super().apply(records, wall_s, caught_up=caught_up)
        effects.tally["dead_letters", "personalise", "broken_json"] += sum(r.value == b"{" for r in records)
        return effects


def test_what_is_no_event_stops_the_worker_only_where_somebody_wanted_that() -> None:
    def core(limits: Limits) -> PoisonRecordGuard:
        return PoisonRecordGuard(Strict, MemoryStore(), "personalise", limits=limits)

    bad, good = records(*[b"{"] * (WINDOW // 2)), records(*[b"1"] * (WINDOW // 2))

    async def feed(limits: Limits, *batches: list[Record]) -> None:
        lane = core(limits)
        for batch in batches:
            await lane.apply(batch, 2.0, caught_up=True)

    asyncio.run(feed(Limits(), bad, bad, bad))
    asyncio.run(feed(Limits(dead_letters=0.5), bad, good, bad, good))
    with pytest.raises(Fatal, match=r"unusable .* Hint: `attune dlq list`"):
        asyncio.run(feed(Limits(dead_letters=0.5), bad, good, bad, bad))
