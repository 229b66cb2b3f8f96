"""`make bench`: our roles beside the programs that do less, same broker, interleaved runs; prints ratios, not boasts.

personalise  all it does (profile, carts, timers, rules, public view, transactions) beside a raw consumer and a bare Faust agent
generate     LLM calls/s of the role beside the bare server at the same concurrency
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.generate import bench_generate
from benchmarks.load import fill
from benchmarks.personalise import bench_personalise
from infra.kafka.embedded import EmbeddedKafka
from workers.adapters import topic_admin
from workers.settings import Settings, load

console = Console()


def main() -> None:
    """Parses the size of the run, runs, prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--calls", type=int, default=48, help="LLM calls of each generate run; 0 leaves it out")
    parser.add_argument("--in-flight", type=int, default=8)
    parser.add_argument("--llm", default="embedded")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, EmbeddedKafka(Path(folder) / "kafka") as kafka:
        settings = load(
            {}, brokers=kafka.bootstrap, data_dir=folder, metrics_port_personalise=0, metrics_port_generate=0
        )
        events(settings, args.events, args.customers, args.runs)
        if args.calls:
            rows = bench_generate(
                msgspec.structs.replace(settings, llm=args.llm, prefix="g."), args.calls, args.in_flight
            )
            show(
                f"generate: {args.calls} texts, {args.in_flight} in flight, {args.llm}",
                rows,
                "bare server",
                "LLM calls/s",
            )


def events(settings: Settings, number: int, customers: int, runs: int) -> None:
    """Interleaves the programs, so that a slow minute of the machine hits all of them."""
    programs: dict[str, Callable[[Settings], dict[str, float]]] = {
        "raw consumer": lambda settings: peer("raw", settings, number),
        "bare Faust agent": lambda settings: peer("faust", settings, number),
        "personalise": lambda settings: bench_personalise(settings, number),
    }
    results: dict[str, list[dict[str, float]]] = {name: [] for name in programs}
    for run in range(runs):
        prefixed = msgspec.structs.replace(settings, prefix=f"r{run}.")
        topic_admin.apply(prefixed)
        fill(prefixed, "customer.events", number, customers)
        for name, program in programs.items():
            results[name].append(program(prefixed))
            console.print(f"run {run + 1}: {name} {results[name][-1]['events_per_s']:,.0f} events/s", highlight=False)
    title = f"personalise: {number:,} events, {customers:,} customers, {runs} interleaved runs"
    show(title, results, "bare Faust agent", "events/s", key="events_per_s")


def peer(name: str, settings: Settings, number: int) -> dict[str, float]:
    """One of benchmarks.peers in a process of its own."""
    arguments = [name, settings.brokers, settings.topic("customer.events"), str(number)]
    command = [sys.executable, "-m", "benchmarks.peers", *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    lines = [line for line in finished.stdout.splitlines() if line.startswith("{")]
    assert lines, f"{name} printed no result: {finished.stderr[-2000:]}"
    result: dict[str, float] = json.loads(lines[-1])
    return result


def show(
    title: str, results: dict[str, list[dict[str, float]]], base: str, unit: str, key: str = "calls_per_s"
) -> None:
    """Medians, spread, and the ratio to `base`."""
    table = Table("program", f"{unit} (median)", "min to max", f"ratio to {base}", "CPU-s per 100k", title=title)
    reference = statistics.median(run[key] for run in results[base])
    for name, runs in results.items():
        values = [run[key] for run in runs]
        cpu = [run["cpu_s_per_100k"] for run in runs if "cpu_s_per_100k" in run]
        table.add_row(
            name,
            f"{statistics.median(values):,.1f}",
            f"{min(values):,.1f} to {max(values):,.1f}",
            f"{statistics.median(values) / reference:.2f}",
            f"{statistics.median(cpu):.2f}" if cpu else "",
        )
    console.print(table)


if __name__ == "__main__":
    main()
