"""`attune eval guardrails`: measures the guardrails on texts that people have labelled good or bad."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from rich.table import Table

from workers.adapters.claims.models import load_models
from workers.adapters.playbook.loader import load_for as load_playbook
from workers.commands.terminal import err, one_line_errors
from workers.core.errors import Misconfigured
from workers.core.generation.evaluation.gate_accuracy import Judged, LabelledText, accuracy, judge
from workers.core.playbook.playbook import Playbook
from workers.settings_loader import load

_decode = msgspec.json.Decoder(LabelledText).decode


@click.command()
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Labelled texts, one JSON object per line: id, lang, locale, channel, product, group, campaign, fields, verdict, kind.",
)
@click.option("--playbook", type=click.Path(path_type=Path), help="Playbook folder. Default: ATTUNE_PLAYBOOK.")
@click.option("--show", type=click.IntRange(min=0), default=40, show_default=True, help="Rows of each table; 0 = none.")
@one_line_errors
def guardrails(data: Path, playbook: Path | None, show: int) -> None:
    """Measure the guardrails on labelled texts.

    Prints one line of JSON to standard output: the share of bad texts that are rejected (recall) and of good ones
    (false_rejects), in all, by language and by kind. The bad texts that passed and the good ones that were rejected go to
    standard error, with the reasons.
    """
    settings = load(playbook=str(playbook) if playbook else None)
    known = load_playbook(settings)
    texts = [text for _, text in _read(data, known)]
    if not texts:
        raise Misconfigured(f"{data} has no texts.", "one JSON object per line")
    judged = judge(known, texts, load_models(known), time.process_time)
    click.echo(msgspec.json.encode(accuracy(known, judged)))
    for title, rows in (
        ("bad texts that passed", [one for one in judged if one.is_miss]),
        ("good texts that were rejected", [one for one in judged if one.is_false_reject]),
    ):
        if rows and show:
            err.print(_table(title, rows, show))


def _read(data: Path, playbook: Playbook) -> Iterator[tuple[int, LabelledText]]:
    """Yields (line, text). Raises Misconfigured naming the first line that cannot be read."""
    with data.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                text = _decode(line)
                _ = text.text
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise Misconfigured(f"{data}, line {number}: {error}.", "correct the line") from error
            if text.channel not in playbook.channels:
                names = ", ".join(playbook.channels)
                raise Misconfigured(f"{data}, line {number}: no channel {text.channel}.", f"one of: {names}")
            yield number, text


def _table(title: str, rows: list[Judged], show: int) -> Table:
    more = f"; the first {show}" if len(rows) > show else ""
    table = Table(title=f"{len(rows)} {title}{more}", title_justify="left", show_lines=True)
    for column in ("id", "product", "kind", "text", "reasons"):
        table.add_column(column)
    for one in rows[:show]:
        text = "\n".join(one.text.fields.values())
        reasons = "\n".join(f"{verdict.name}: {verdict.detail}" for verdict in one.rejected_by)
        table.add_row(one.text.id, one.text.product, one.text.kind, text, reasons)
    return table
