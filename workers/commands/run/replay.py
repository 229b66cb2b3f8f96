"""`attune replay FILE`: runs historical events through the whole system, under a separate prefix."""

from __future__ import annotations

import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from schemas.topics import CHANNELS, message_topic
from workers.adapters.kafka.reader import TopicReader
from workers.adapters.playbook.loader import load_for as load_playbook
from workers.adapters.process import clock
from workers.adapters.sources.event_files import EventFile, open_events
from workers.adapters.sources.replay import CLOSING_S, Fed, Feeder, wait_applied
from workers.commands.run.up import pid_file
from workers.commands.terminal import err, one_line_errors, out, print_progress
from workers.core.errors import Misconfigured
from workers.core.personalisation.processor import EVENTS
from workers.core.reporting.run_report import TOPICS, Report
from workers.local.installation import installation_options
from workers.local.servers import servers
from workers.local.supervisor import Supervisor
from workers.settings import Settings
from workers.settings_loader import load

_UPDATE_INTERVAL_S = 0.5
#: Interval at which a progress line is printed if there is no terminal [s].
_PROGRESS_INTERVAL_S = 5.0
_REPORT_TOPICS = (*TOPICS, *map(message_topic, CHANNELS))


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format", "file_format", required=True, type=click.Choice(["rees46", "csv", "segment"]), help="Format of FILE."
)
@click.option(
    "--mapping", type=click.Path(path_type=Path), help="For --format csv: YAML file that maps columns to fields."
)
@click.option("--speed", default="0", help="N or Nx: N times the original speed; 0 = as fast as possible. Default: 0.")
@click.option("--playbook", type=click.Path(path_type=Path), help="Playbook folder. Default: ATTUNE_PLAYBOOK.")
@click.option(
    "--grant", default="", help="Channels with presumed consent unless the customer stated otherwise: email,push."
)
@click.option("--prefix", help="Topic prefix of the replay. Default: derived from the file name.")
@click.option("--llm", help="LLM to use: embedded, vllm-cpu, off or a URL. Default: ATTUNE_LLM.")
@installation_options("brokers", "data_dir")
@click.option("--report", type=click.Path(path_type=Path), help="Write the final report to this JSON file.")
@click.option("--live", is_flag=True, help="Send the events to the running installation's own topics instead.")
@one_line_errors
def replay(
    file: Path,
    file_format: str,
    mapping: Path | None,
    speed: str,
    playbook: Path | None,
    grant: str,
    prefix: str | None,
    llm: str | None,
    report: Path | None,
    live: bool,
    brokers: str | None,
    data_dir: str | None,
) -> None:
    """Run FILE through the mapping of intake, personalise and generate, in event time.

    All topics have a separate prefix, so no real customer is contacted. Replaying the same file again under the same prefix
    changes nothing.
    """
    events = open_events(file, file_format, mapping, clock.utc_now())
    factor = _speed(speed)
    if live:
        if grant or prefix:
            raise Misconfigured("--live cannot be combined with --grant or --prefix.", "leave them out")
        _feed_live(load(llm=llm, brokers=brokers, data_dir=data_dir), events, factor)
        return
    settings = load(
        prefix=prefix or f"replay-{re.sub('[^a-zA-Z0-9]+', '-', file.stem)[:24]}.",
        playbook=str(playbook) if playbook else None,
        llm=llm,
        brokers=brokers,
        data_dir=data_dir,
        clock="event",
        grant=grant,
        metrics_port_personalise=0,
        metrics_port_generate=0,
    )
    load_playbook(settings)  # reports mistakes before anything starts
    if settings.prefix == load().prefix:
        raise Misconfigured(
            f"--prefix {settings.prefix!r} is the prefix of the installation itself.", "choose another, or use --live"
        )
    lock = pid_file(settings) if settings.brokers == "embedded" else nullcontext()
    with lock, servers(settings, print_progress) as running:
        result = _run(running, events, factor)
    if report is not None:
        report.write_bytes(msgspec.json.format(msgspec.json.encode(result)))
    out.print_json(data=result)
    here = _options(prefix=settings.prefix, brokers=brokers, data_dir=data_dir)
    print_progress(f"for details: attune stats{here}, attune why --user U{here}")


def _options(**given: str | None) -> str:
    """Returns the options with which other commands select this replay."""
    return "".join(f" --{name.replace('_', '-')} {value}" for name, value in given.items() if value is not None)


def _run(settings: Settings, events: EventFile, speed: float) -> dict[str, Any]:
    report, fed = Report(), Fed()
    started_at_s = clock.monotonic_s()
    with (
        TopicReader(settings, _REPORT_TOPICS, start="end") as reader,
        Supervisor(settings, ("personalise", "generate")) as supervisor,
        _progress() as progress,
    ):
        reading = progress.add_task("events", total=events.bytes_total, note="")
        deciding = progress.add_task("texts", total=None, note="")

        next_progress_s = started_at_s

        def update() -> None:
            nonlocal next_progress_s
            for line in supervisor.poll():
                print_progress(line)
            for record in reader.poll(0.05):
                report.add(record)
            ended = report.outcomes.total()
            progress.update(deciding, completed=ended, total=report.requests or None)
            progress.update(deciding, note=f"{ended} of {report.requests} requests ended")
            if not err.is_terminal and clock.monotonic_s() >= next_progress_s:
                next_progress_s = clock.monotonic_s() + _PROGRESS_INTERVAL_S
                share = events.bytes_read / max(events.bytes_total, 1)
                decided = f"{report.decisions.total()} decisions, {ended} of {report.requests} requests ended"
                print_progress(
                    f"{fed.events} events ({share:.0%} of the file), {decided}, {len(report.messages)} messages"
                )

        feeder, updated_at_s = Feeder(settings, speed, by_event=True), started_at_s
        for state in feeder.feed(events, fed):
            if clock.monotonic_s() - updated_at_s > _UPDATE_INTERVAL_S:
                progress.update(reading, completed=events.bytes_read, note=f"{state.events} events")
                update()
                updated_at_s = clock.monotonic_s()
        progress.update(reading, completed=events.bytes_total, note=f"{fed.events} events")
        if fed.events:
            feeder.close_clock(fed.last_event_s + CLOSING_S)
        wait_applied(settings, "personalise", EVENTS, update)
        for record in reader.read_to_end(0.3):
            report.add(record)
    report.events = fed.events
    result = report.as_dict(clock.monotonic_s() - started_at_s)
    changed = len(report.profiles)
    with TopicReader(settings, ["customer.profiles"]) as profiles:
        for record in profiles.read_to_end():
            report.add(record)
    return {**result, "profiles": len(report.profiles), "profiles_changed": changed, "prefix": settings.prefix}


def _feed_live(settings: Settings, events: EventFile, speed: float) -> None:
    if settings.brokers == "embedded":
        raise Misconfigured("--live needs the address of the running Kafka.", "set ATTUNE_BROKERS=host:port")
    fed = Fed()
    with _progress() as progress:
        reading = progress.add_task("events", total=events.bytes_total, note="")
        for state in Feeder(settings, speed).feed(events, fed):
            if state.events % 500 == 0:
                progress.update(reading, completed=events.bytes_read, note=f"{state.events} events")
    print_progress(f"{fed.events} events sent, {fed.rejected} rejected")


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description:>8}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
        console=err,
        disable=not err.is_terminal,
    )


def _speed(text: str) -> float:
    try:
        factor = float(text.strip().rstrip("x×"))
    except ValueError:
        factor = -1.0
    if factor < 0:
        raise Misconfigured(f"--speed {text!r} is not a speed.", "use 0, 1, 60x, ...")
    return factor
