"""`attune topics`: creates and checks the topics of the installation."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
import msgspec
from rich.table import Table
from rich.text import Text

from workers.adapters.kafka import topic_admin
from workers.adapters.kafka.topic_plan import TopicRow
from workers.commands.terminal import FAILED, one_line_errors, out
from workers.local.installation import on_installation, reachable
from workers.settings import Settings

_STYLES = {"ok": "green", "missing": "yellow", "drift": "red"}


_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")


@click.group()
def topics() -> None:
    """Create and check the Kafka topics. No command deletes a topic or changes its number of partitions."""


@topics.command()
@_AS_JSON
@one_line_errors
@on_installation
def apply(settings: Settings, as_json: bool) -> None:
    """Create missing topics, and correct the configuration of existing ones.

    Prints the state before the changes. Fails if a topic differs in a way that is never changed automatically.
    """
    with reachable(settings) as running:
        before = topic_admin.apply(running)
    if as_json:
        _print_json(before)
        return
    created = sum(row.state == "missing" for row in before)
    altered = sum(row.state == "drift" for row in before)
    out.print(
        f"{len(before)} topics: {created} created, {altered} repaired, {len(before) - created - altered} unchanged."
    )


@topics.command()
@_AS_JSON
@one_line_errors
@on_installation
def show(settings: Settings, as_json: bool) -> None:
    """Compare the topics with the settings. Exit code 1 if one is missing or differs."""
    with reachable(settings) as running:
        rows = topic_admin.show(running)
    if as_json:
        _print_json(rows)
    else:
        _print_table(rows)
    if any(row.state != "ok" for row in rows):
        sys.exit(FAILED)


def _print_table(rows: Sequence[TopicRow]) -> None:
    table = Table("topic", "partitions", "state", "differences", box=None, pad_edge=False)
    for row in rows:
        differences = [f"{d.what} (not repaired: {d.refused})" if d.refused else d.what for d in row.differences]
        state = Text(row.state, _STYLES[row.state])
        table.add_row(row.topic.name, str(row.topic.partitions), state, "\n".join(differences))
    out.print(table, soft_wrap=False)


def _print_json(rows: Sequence[TopicRow]) -> None:
    lines = [
        {
            "topic": row.topic.name,
            "ours": row.topic.ours,
            "state": row.state,
            "partitions": row.topic.partitions,
            "replication": row.topic.replication,
            "differences": [{"what": d.what, "refused": d.refused} for d in row.differences],
        }
        for row in rows
    ]
    out.print(msgspec.json.encode(lines).decode())
