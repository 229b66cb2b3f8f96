"""Runs the events section: every program once per round, on the same preloaded topics, each with a new group and state."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks import broker, load
from benchmarks.job import Job
from benchmarks.processes import Ended, Run, measure
from benchmarks.programs import PROGRAMS, Program, kafka_streams, module_of
from benchmarks.work_unit import Profile, differences, make_events, oracle
from workers.adapters.kafka import topic_admin
from workers.settings import Settings

_encode = msgspec.json.Encoder().encode
#: The installation whose customer.events the real role reads.
REAL = "real."
Say = Callable[[str], None]


class Arena:
    """The preloaded topics, and the expected final state for each."""

    def __init__(self, settings: Settings, events: int, customers: int, say: Say) -> None:
        self._settings = settings
        self._events = events
        self._customers = customers
        self._say = say
        self._topics: dict[tuple[bool, int], str] = {}
        self._expected: dict[int, dict[str, Profile]] = {}
        self._count = 0

    def events_of(self, program: Program) -> int:
        """Returns the number of events that a program reads."""
        return max(1000, int(self._events * program.share))

    def topic(self, program: Program) -> str:
        """Returns the (logical) topic of a program, filled on the first call."""
        number = self.events_of(program)
        key = (program.work_unit, number)
        if key not in self._topics:
            self._say(f"filling a topic with {number:,} events of {self._customers:,} customers")
            if program.work_unit:
                name = f"bench.events-{number}"
                broker.create(self._settings.brokers, [name], self._settings.partitions)
                events = make_events(number, self._customers)
                broker.fill(self._settings.brokers, name, ((e.customer_id.encode(), _encode(e)) for e in events))
            else:
                name = "customer.events"
                real = self._settings.changed(prefix=REAL)
                topic_admin.apply(real)
                broker.fill(self._settings.brokers, real.topic(name), load.make_events(number, self._customers))
            self._topics[key] = name
        return self._topics[key]

    def job(self, program: Program, name: str = "") -> Job:
        """Returns a new job of a program."""
        self._count += 1
        name = name or f"b{self._count}-{program.module.replace('_', '-')}"
        return Job(
            program=program.name,
            brokers=self._settings.brokers,
            topic=self.topic(program),
            events=self.events_of(program),
            name=name,
            folder=str(Path(self._settings.data_dir) / name),
            option=program.option,
            prefix="" if program.work_unit else REAL,
            partitions=self._settings.partitions,
        )

    def run(self, program: Program) -> Run:
        """Runs a program once and compares its final state with the oracle's; then deletes its local state and changelog."""
        job = self.job(program)
        try:
            run = measure(program, job)
            state = module_of(program.module).final_state(job)
            if state is not None:
                run.wrong = differences(state, self._oracle(job.events))
                run.matches = not run.wrong
            return run
        finally:
            self.clean_up(job)

    def clean_up(self, job: Job) -> None:
        """Deletes the folder and the topics of a run."""
        shutil.rmtree(job.folder, ignore_errors=True)
        leftover = [name for name in broker.topics(self._settings.brokers) if job.name + "-" in name]
        broker.delete(self._settings.brokers, leftover)

    def _oracle(self, events: int) -> dict[str, Profile]:
        if events not in self._expected:
            self._expected[events] = oracle(make_events(events, self._customers))
        return self._expected[events]


def missing(program: Program) -> str:
    """Returns why a program cannot run here; empty if it can."""
    if program.runs_on != "java":
        return ""
    try:
        kafka_streams.prepare()
    except kafka_streams.Missing as reason:
        return str(reason)
    return ""


def bench_events(
    settings: Settings, events: int, customers: int, runs: int, say: Say
) -> tuple[dict[str, list[Run]], dict[str, str]]:
    """Runs all programs, interleaved; returns the runs, and why programs were left out (tools missing, or it failed)."""
    left_out = {program.name: reason for program in PROGRAMS if (reason := missing(program))}
    arena = Arena(settings, events, customers, say)
    results: dict[str, list[Run]] = {}
    for number in range(runs):
        for program in PROGRAMS:
            if program.name in left_out:
                continue
            try:
                run = arena.run(program)
            except Ended as error:
                left_out[program.name] = str(error)
                say(f"run {number + 1}: {error}")
                continue
            results.setdefault(program.name, []).append(run)
            verdict = {True: "state matches", False: "STATE DOES NOT MATCH", None: "no state"}[run.matches]
            say(f"run {number + 1}: {program.name:34} {run.events_per_s:10,.0f} events/s, {verdict}")
            for line in run.wrong:
                say(f"    {line}")
    return results, left_out
