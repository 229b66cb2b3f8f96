"""Measures the time per event in the real role: the core alone, step by step, then the writes of its shell per batch.

One process, one thread, and the same events in each run. The total comes from a run without timers; the steps from a second
run, in which their functions are timed (a step's time excludes the steps within it).
"""

from __future__ import annotations

import math
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import broker, load
from benchmarks.memory_store import MemoryStore
from schemas import codec
from workers.adapters.kafka.config import client_config
from workers.adapters.lanes.transactions import LaneProducer
from workers.adapters.playbook.loader import load_for as load_playbook
from workers.adapters.state.checkpoint import Marker, Progress
from workers.adapters.state.rocksdb import RocksStore
from workers.core.partition.unit_of_work import UnitOfWork
from workers.core.personalisation import processor
from workers.core.personalisation.processor import EVENTS, PersonalisationConfig, PersonalisationProcessor
from workers.core.profile import dedupe, eviction, public_view
from workers.core.segments.conditions import Groups
from workers.core.stream.effects import Effects
from workers.core.stream.records import Record
from workers.core.triggers.registry import Triggers
from workers.settings import Settings

#: 2024-03-04 12:00:00 UTC
END_S = 1_709_553_600.0
BATCH = Settings().batch_records
#: Number of runs, of which the fastest counts: other work on the machine only adds time.
_REPEATS = 3
#: step → its functions, as (owner, attribute)
STEPS: dict[str, tuple[tuple[Any, str], ...]] = {
    "decode the event": ((codec, "decode_event"),),
    "load the profile": ((UnitOfWork, "load"), (UnitOfWork, "create")),
    "recognise repetitions": ((dedupe, "is_duplicate"), (dedupe, "forget_and_spill")),
    "fold": ((processor, "fold"),),
    "triggers: set and cancel timers": ((Triggers, "rearm"),),
    "rules: target group, segments": ((Groups, "target_group"), (Groups, "segments")),
    "public view, with its encoding": ((public_view, "profile_view"), (UnitOfWork, "put")),
    "encode the profile": ((eviction, "encode_bounded"),),
}


class Step(msgspec.Struct, kw_only=True):
    """One row: microseconds per event."""

    name: str
    us_per_event: float


class Cost(msgspec.Struct, kw_only=True):
    """The core alone, and the shell's writes of the same batches (CPU of all threads)."""

    events: int
    customers: int
    changed_per_batch: float
    core_us_per_event: float
    core_events_per_s: float
    steps: list[Step]
    shell: list[Step]


class StepTimers:
    """Measures the time per step, without the steps within it."""

    def __init__(self) -> None:
        self.spent_s: defaultdict[str, float] = defaultdict(float)
        self._inner_s = 0.0

    def timed(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Returns the function with a timer."""
        clock = time.perf_counter

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            outer_s, self._inner_s = self._inner_s, 0.0
            started_s = clock()
            try:
                return function(*args, **kwargs)
            finally:
                took_s = clock() - started_s
                self.spent_s[step] += took_s - self._inner_s
                self._inner_s = outer_s + took_s

        return wrapper

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Installs timers around the functions of every step, and removes them at the end."""
        originals = [(owner, name, getattr(owner, name)) for pairs in STEPS.values() for owner, name in pairs]
        try:
            for step, pairs in STEPS.items():
                for owner, name in pairs:
                    setattr(owner, name, self.timed(step, getattr(owner, name)))
            yield
        finally:
            for owner, name, function in originals:
                setattr(owner, name, function)


def bench_cost(settings: Settings, events: int, customers: int) -> Cost:
    """Measures the cost of an event. `customers` are those of one lane; the first fifth of the events is warm-up, not counted."""
    batches = list(_batches(events, customers))
    warm = max(1, len(batches) // 5)
    plain_s, spent_s = math.inf, dict.fromkeys(STEPS, math.inf)
    for _ in range(_REPEATS):
        once_s, effects = _run(settings, batches, warm)
        plain_s = min(plain_s, once_s)
        timers = StepTimers()
        with timers.installed():
            _run(settings, batches, warm, timers.spent_s.clear)
        spent_s = {name: min(least_s, timers.spent_s[name]) for name, least_s in spent_s.items()}
    counted = sum(map(len, batches[warm:]))
    steps = [Step(name=name, us_per_event=1e6 * spent_s[name] / counted) for name in STEPS]
    total = 1e6 * plain_s / counted
    rest = max(0.0, total - sum(step.us_per_event for step in steps))
    steps.append(Step(name="the rest of the core", us_per_event=rest))
    return Cost(
        events=counted,
        customers=customers,
        changed_per_batch=sum(len(batch.puts) for batch in effects) / len(effects),
        core_us_per_event=total,
        core_events_per_s=1e6 / total,
        steps=steps,
        shell=_shell(settings, effects, counted),
    )


def _batches(events: int, customers: int) -> Iterator[list[Record]]:
    generated = load.make_events(events, customers, end_s=END_S)
    records = [
        Record(topic=EVENTS, partition=0, offset=offset, key=key, value=value, appended_at_s=END_S)
        for offset, (key, value) in enumerate(generated)
    ]
    for start in range(0, len(records), BATCH):
        yield records[start : start + BATCH]


def _run(
    settings: Settings, batches: list[list[Record]], warm: int, when_warm: Callable[[], None] = lambda: None
) -> tuple[float, list[Effects]]:
    """Returns the time in the core for the batches after the warm-up [s], and their effects."""
    store = MemoryStore()
    config = PersonalisationConfig(clock="wall", partition_of=lambda _key: 0, salt="bench", cache_size=20_000)
    core = PersonalisationProcessor(config, load_playbook(settings), store)
    spent_s, counted = 0.0, []
    for number, batch in enumerate(batches):
        if number == warm:
            spent_s = 0.0
            when_warm()
        started_s = time.perf_counter()
        effects = core.apply(batch, END_S, caught_up=False)
        spent_s += time.perf_counter() - started_s
        store.commit(effects)
        if number >= warm:
            counted.append(effects)
    return spent_s, counted


def _shell(settings: Settings, effects: list[Effects], events: int) -> list[Step]:
    """Writes the same effects with the real transaction and the real store; returns the CPU time of all threads."""
    topic = "cost-state"
    outputs = {output.topic for batch in effects for output in batch.outputs}
    broker.create(settings.brokers, [topic, *(f"cost.{name}" for name in sorted(outputs))], 1, broker.COMPACTED)
    producer = LaneProducer(client_config(settings), "cost", settings.transaction_timeout_s, settings.compression)
    producer.fence()
    kafka_s = rocks_s = 0.0
    with tempfile.TemporaryDirectory(dir=settings.data_dir) as folder:
        store = RocksStore(Path(folder) / "state")
        for batch in effects:
            marker = Marker(offsets={EVENTS: 1}, clock_s=batch.clock_s)
            before_s = time.process_time()
            end = producer.commit(
                batch.outputs, prefix="cost.", partition=0, changelog=(topic, 0), puts=batch.puts, marker=marker
            )
            between_s = time.process_time()
            store.write(
                batch.puts, batch.index_puts, batch.index_deletes, Progress(changelog_offset=end + 1, marker=marker)
            )
            kafka_s += between_s - before_s
            rocks_s += time.process_time() - between_s
        store.close()
    return [
        Step(name="transaction: changelog, outputs, marker, commit", us_per_event=1e6 * kafka_s / events),
        Step(name="RocksDB write batch", us_per_event=1e6 * rocks_s / events),
    ]
