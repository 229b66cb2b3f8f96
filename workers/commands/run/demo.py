"""`attune demo`: runs the whole system on this machine, with simulated shoppers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import click
import msgspec
from rich.live import Live

from schemas import codec
from schemas.events import ORDER_COMPLETED
from schemas.messages import Decision, Feedback
from schemas.topics import CHANNELS, message_topic
from workers.adapters.kafka.reader import TopicReader
from workers.adapters.playbook.loader import load_for as load_playbook
from workers.adapters.process import clock
from workers.adapters.sources.simulated_shop import LAST_ORDERS_S, Simulator
from workers.commands.inspect.learning_plot import sentence
from workers.commands.inspect.learning_svg import picture as draw
from workers.commands.run.demo_view import DemoView
from workers.commands.run.up import ROLES, pid_file
from workers.commands.terminal import Stop, err, one_line_errors, out, print_progress, stopping
from workers.core.experimentation.logged_decisions import LoggedDecision, LoggedFeedback
from workers.core.experimentation.off_policy import by_arm, compare, series
from workers.core.playbook.playbook import Playbook
from workers.core.playbook.time_scaling import accelerate
from workers.core.reporting.run_report import TOPICS, Report, learning
from workers.core.simulation.shoppers import Crowd
from workers.core.stream.records import Record
from workers.local.installation import installation_options
from workers.local.servers import servers
from workers.local.supervisor import Supervisor
from workers.settings import Settings
from workers.settings_loader import load

#: Factor by which time is accelerated: a delay of half an hour takes five seconds.
_SPEEDUP = 360.0
#: Mean time between two actions of a shopper [s].
_PAUSE_S = 1.0
#: Time that texts and responses may take after the last decision [s].
_SETTLE_S = 30.0
#: Evidence is used within a second; a text that takes the small model longer than the deadline is replaced by its template [s].
_SNAPSHOT_INTERVAL_S, _LLM_DEADLINE_S = 1.0, 12.0
#: Enough for all texts that wait for the model, so that texts without an LLM call do not queue after them.
_LLM_IN_FLIGHT = 16
#: Interval at which a progress line is printed if there is no terminal [s].
_PROGRESS_INTERVAL_S = 5.0
_ORDER = ORDER_COMPLETED.encode()
_EVENTS, _FEEDBACK = "customer.events", "message.feedback"
_SOURCES = (*TOPICS, *map(message_topic, CHANNELS), _EVENTS, _FEEDBACK)


@click.command()
@click.option("--duration", type=float, help="Seconds for which the shoppers are active. Default: until Ctrl-C.")
@click.option(
    "--shoppers", type=click.IntRange(1, 100_000), default=300, show_default=True, help="Number of shoppers at a time."
)
@click.option("--llm", help="LLM to use: embedded, vllm-cpu or a URL. Default: ATTUNE_LLM.")
@click.option("--playbook", type=click.Path(path_type=Path), help="Playbook folder. Default: ATTUNE_PLAYBOOK.")
@click.option("--report", type=click.Path(path_type=Path), help="Write the final report to this JSON file.")
@click.option(
    "--picture",
    type=click.Path(path_type=Path),
    help="Write the learning chart to this SVG file. Default: next to the report.",
)
@installation_options("data_dir")
@one_line_errors
def demo(
    duration: float | None,
    shoppers: int,
    llm: str | None,
    playbook: Path | None,
    report: Path | None,
    picture: Path | None,
    data_dir: str | None,
) -> None:
    """Run the whole system with simulated shoppers who respond to messages, and show a live view until Ctrl-C.

    The demo uses a real Kafka, an embedded LLM and all workers. It is isolated: its data is in the subfolder `demo` of the data
    folder, and its metrics are on free ports.
    """
    began_s = clock.monotonic_s()
    base = load(data_dir=data_dir)
    settings = load(
        llm=llm,
        playbook=str(playbook) if playbook else None,
        data_dir=str(Path(base.data_dir) / "demo"),
        speedup=_SPEEDUP,
        snapshot_interval_s=_SNAPSHOT_INTERVAL_S,
        llm_deadline_s=_LLM_DEADLINE_S,
        llm_in_flight=_LLM_IN_FLIGHT,
    )
    settings = settings.changed(**_free_ports(base))
    knowledge = accelerate(load_playbook(settings), _SPEEDUP)  # reports mistakes before anything starts
    evaluation = LoggedFeedback(knowledge.policy.learning.rewards, knowledge.policy.learning.attribution_s)
    with stopping() as stop, pid_file(settings):
        for leftover in ("kafka", "state", "faust", "logs"):  # each demo starts from scratch
            shutil.rmtree(Path(settings.data_dir) / leftover, ignore_errors=True)
        with servers(settings, print_progress) as running:
            result = _run(running, stop, knowledge, shoppers, evaluation, duration, began_s)
    print_progress(f"for details: attune why --user {result.pop('example_user')} --data-dir {settings.data_dir}")
    _print_results(result, evaluation.scored(), Random(settings.seed), report, picture)  # noqa: S311 # draws customers, no secrets


def _free_ports(base: Settings) -> dict[str, int]:
    """Chooses a free metrics port for each role that has the default one, because `attune up` may be using those."""
    default = Settings().metrics.ports
    return {f"metrics_port_{role}": 0 for role in ROLES if base.metrics.ports[role] == default[role]}


def _print_results(
    result: dict[str, Any], scored: list[LoggedDecision], rng: Random, report: Path | None, picture: Path | None
) -> None:
    """Prints the results and what was learnt; writes the report and the chart if requested."""
    found = compare(scored, rng)
    until_s = result["shoppers_left_at"] - (scored[0].decided_at_s if scored else 0.0)  # there are no orders after that
    points = series(scored, until_s=until_s)
    learnt, summary = learning(scored, found, points), sentence(found)
    if report is not None:
        report.write_bytes(msgspec.json.format(msgspec.json.encode({**result, "learning": learnt})))
        picture = picture or report.with_suffix(".svg")
    short = {name: value for name, value in learnt.items() if name not in ("arms", "series")}
    out.print_json(data={**result, "learning": short})
    if picture is not None:
        picture.write_text(draw(points, by_arm(scored), summary))
        print_progress(f"the learning chart is in {picture}")
    print_progress(summary)


def _run(
    settings: Settings,
    stop: Stop,
    knowledge: Playbook,
    shoppers: int,
    evaluation: LoggedFeedback,
    duration: float | None,
    began_s: float,
) -> dict[str, Any]:
    totals, notes = Report(), list[str]()
    crowd = Crowd(knowledge.products, settings.seed, _PAUSE_S)
    first_message_s: float | None = None
    with (
        Supervisor(settings, ROLES) as supervisor,
        TopicReader(settings, _SOURCES) as reader,
        Simulator(settings, crowd, shoppers) as simulator,
        _live_view() as live,
    ):
        view = DemoView(totals, evaluation, lambda: {role.name: role.metrics_url for role in supervisor.roles})
        started_s = clock.monotonic_s()
        next_progress_s, metrics_printed = 0.0, False
        shopping_ends_s = started_s + duration if duration is not None else float("inf")
        decided_by_s = float("inf")
        while True:
            for record in reader.poll(0.25):
                _take(record, totals, evaluation)
            now_s = clock.monotonic_s()
            if totals.messages and first_message_s is None:
                first_message_s = now_s - began_s
            lines = supervisor.poll()
            notes.extend(lines)
            view.tick(now_s - started_s)
            if live is not None:
                live.update(view.render(now_s - started_s, notes))
            elif lines or now_s >= next_progress_s:
                next_progress_s = now_s + _PROGRESS_INTERVAL_S
                for line in (*lines, view.line(now_s - started_s)):
                    print_progress(line)
                if not metrics_printed and all(role.metrics_url for role in supervisor.roles):
                    metrics_printed = True
                    print_progress(view.where())
            if (stop.requested or now_s >= shopping_ends_s) and simulator.running:
                simulator.stop()
                decided_by_s = now_s + _last_occurrence_s(knowledge)
            if now_s >= decided_by_s and (now_s >= decided_by_s + _SETTLE_S or _settled(totals, reader, simulator)):
                break
        elapsed_s = min(clock.monotonic_s(), shopping_ends_s) - started_s
    return {
        **totals.as_dict(elapsed_s),
        "example_user": next((message.user_id for message in reversed(totals.messages)), "shopper"),
        "shoppers": shoppers,
        "shoppers_left_at": simulator.left_at_s,
        "sent": simulator.sent,
        "first_message_s": round(first_message_s, 1) if first_message_s is not None else None,
        "restarts": sum(role.restarts for role in supervisor.roles),
    }


@contextmanager
def _live_view() -> Iterator[Live | None]:
    """Yields the live view; None if there is no terminal: progress lines are printed instead."""
    if not err.is_terminal:
        yield None
        return
    with Live(console=err, refresh_per_second=4, transient=False) as live:
        yield live


def _take(record: Record, totals: Report, evaluation: LoggedFeedback) -> None:
    """Adds one record of any topic to the counts and the evaluation."""
    if record.topic == _EVENTS:
        totals.events += 1
        if _ORDER in (record.value or b""):
            evaluation.add(codec.decode_event(record.value))
        return
    value = totals.add(record)
    if isinstance(value, Decision | Feedback):
        evaluation.add(value)


def _last_occurrence_s(knowledge: Playbook) -> float:
    """Returns the time from the shoppers' end to the last occurrence [s]: no timer must fire while the roles stop."""
    return LAST_ORDERS_S + max(campaign.trigger.delay_s for campaign in knowledge.campaigns.values()) + 1.0


def _settled(totals: Report, reader: TopicReader, simulator: Simulator) -> bool:
    """Returns True if every request has its outcome, every message its responses, and nothing is left to read."""
    responded = simulator.read >= len(totals.messages) and not simulator.waiting
    return responded and reader.at_end and totals.outcomes.total() >= totals.requests
