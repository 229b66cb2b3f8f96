"""Lists the programs that are compared, one per module; each runs as a separate process.

A module has `run(job, progress)`, which does the work, and `final_state(job)`, which returns what the program has made durable;
the table here defines how a program is started and shown. Heavy imports are inside `run`, because the benchmark imports every
module.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Literal, Protocol, cast

import msgspec

from benchmarks.job import Job, Progress
from benchmarks.work_unit import Profile

ROOT = Path(__file__).resolve().parents[2]
#: The Python of the peers' environment (`make bench` creates it).
PEERS_PYTHON = ROOT / ".cache" / "venv-bench" / "bin" / "python"


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table. `promise`: its guarantee after a crash. `share`: how many of the events it reads: fewer if all would
    take minutes, more for Java, whose JIT compiler must be warm before the second half. All read from the start of one list.
    """

    name: str
    module: str
    promise: str
    option: str = ""
    runs_on: Literal["ours", "peers", "java"] = "ours"
    share: float = 1.0
    work_unit: bool = True
    writes_output: bool = False


class ProgramModule(Protocol):
    """The interface of each module of this package."""

    def run(self, job: Job, progress: Progress) -> None:
        """Does the work; returns, or waits to be stopped, after `progress.finish()`."""
        ...

    def final_state(self, job: Job) -> dict[str, Profile] | None:
        """Returns the profiles that are durable after the run, by customer; None = the program keeps none."""
        ...


RAW, FLOOR, FLOOR_TXN, OURS = "raw consume", "floor", "floor, transactions", "ours"
PERSONALISE, FAUST, QUIX, BYTEWAX = "ours: personalise", "Faust, by its guide", "Quix Streams", "Bytewax"
KAFKA_STREAMS, KAFKA_STREAMS_EOS = "Kafka Streams (Java)", "Kafka Streams (Java), exactly once"
QUIX_EOS = "Quix Streams, exactly once"

PROGRAMS = (
    Program(name=RAW, module="raw", promise="none: reads only"),
    Program(name=FLOOR, module="floor", promise="at least once"),
    Program(name=FLOOR_TXN, module="floor", promise="exactly once", option="transactions"),
    Program(name=OURS, module="ours", promise="exactly once", writes_output=True),
    Program(name=PERSONALISE, module="personalise", promise="exactly once", share=0.5, work_unit=False),
    Program(name=KAFKA_STREAMS, module="kafka_streams", promise="at least once", runs_on="java", share=2.5),
    Program(
        name=KAFKA_STREAMS_EOS,
        module="kafka_streams",
        promise="exactly once",
        option="exactly_once_v2",
        runs_on="java",
        share=2.5,
    ),
    Program(name=QUIX, module="quix", promise="at least once", runs_on="peers", writes_output=True),
    Program(name=QUIX_EOS, module="quix", promise="exactly once", option="exactly-once", runs_on="peers"),
    Program(name=BYTEWAX, module="bytewax_flow", promise="local snapshots", runs_on="peers"),
    Program(name=FAUST, module="faust_guide", promise="at least once", runs_on="peers", share=0.25, writes_output=True),
)
BY_NAME = {program.name: program for program in PROGRAMS}


def module_of(name: str) -> ProgramModule:
    """Returns the module of a program by name."""
    return cast(ProgramModule, importlib.import_module(f"benchmarks.programs.{name}"))
