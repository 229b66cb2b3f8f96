"""`attune pool`: shows the texts that were written ahead, and decides which may be used."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

import click
import msgspec

from schemas.learning import PoolEntry
from workers.adapters.kafka.pool_topic import read_pool
from workers.adapters.kafka.publisher import OperatorRecord, audit, person, publish
from workers.adapters.kafka.reader import TopicReader
from workers.adapters.llm.language_detector import detector
from workers.adapters.playbook.loader import load_for as load_playbook
from workers.adapters.process import clock
from workers.commands.terminal import FAILED, err, one_line_errors, out
from workers.core.decisioning.control_state import SNAPSHOTS, ControlStateReducer
from workers.core.errors import Misconfigured
from workers.core.generation.pool.entries import POOL
from workers.core.generation.pool.planning import objections
from workers.core.playbook.playbook import Playbook
from workers.core.reporting.standings import losing_arms
from workers.local.installation import on_installation, reachable
from workers.settings import Settings

Status = Literal["draft", "approved", "rejected", "retired"]

#: Action on entries → their status afterwards.
_BECOMES: dict[str, Status] = {"approve": "approved", "reject": "rejected", "retire": "retired"}
_CURE = "`attune pool list` shows what holds; say it again"


class Group(click.Group):
    """Imports `fill`, and with it the LLM's client, only on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the commands in the order of the work."""
        return ["fill", *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Returns the command of that name, None if there is none."""
        if cmd_name == "fill":
            from workers.commands.content.pool_fill import fill  # noqa: PLC0415

            return fill
        return super().get_command(ctx, cmd_name)


@click.group(cls=Group)
def pool() -> None:
    """Texts written ahead: fill, view, approve."""


@pool.command("list")
@click.option("--status", type=click.Choice(["draft", "approved", "rejected", "retired"]), help="Only these.")
@click.option("--campaign", help="Only those of one campaign.")
@click.option("--json", "as_json", is_flag=True, help="The entries as JSON, one a line.")
@one_line_errors
@on_installation
def show(settings: Settings, status: str | None, campaign: str | None, as_json: bool) -> None:
    """Shows the entries: id, status, purpose, text. `losing` marks an arm that the system has learnt to avoid."""
    with reachable(settings) as running:
        entries = read_pool(running).entries
        losing = frozenset() if as_json else _losing(running)
    found = sorted(
        (one for one in entries.values() if status in (None, one.status) and campaign in (None, one.campaign_id)),
        key=lambda one: (*about(one), one.entry_id),
    )
    for entry in found:
        if as_json:
            out.print(msgspec.json.encode(entry).decode())
            continue
        by = f" by {entry.reviewer}" if entry.reviewer else ""
        lost = entry.status == "approved" and (entry.campaign_id, entry.target_group, entry.variation_id) in losing
        what = " ".join(filter(None, (*about(entry), entry.model, "losing" if lost else "")))
        words = " / ".join(filter(None, msgspec.structs.astuple(entry.text)))
        out.lines([f"{entry.entry_id} {entry.status}{by}: {what}", f"    {words}"])
    if not found and not as_json:
        out.print("the pool has no such entry; `attune pool fill` writes some")


def _changing(name: str, what: str) -> None:
    """Defines one of the commands approve, reject and retire."""

    @pool.command(name, help=what)
    @click.argument("entry_ids", metavar="ENTRY...", nargs=-1, required=True)
    @click.option("--by", help="Who says so; default: the user of this machine.")
    @click.option("--reason", default="", help="For those who ask later.")
    @one_line_errors
    @on_installation
    def _command(settings: Settings, entry_ids: tuple[str, ...], by: str | None, reason: str) -> None:
        with reachable(settings) as running:
            if not _change(running, name, tuple(dict.fromkeys(entry_ids)), by or person(), reason):
                raise SystemExit(FAILED)


_changing("approve", "Lets texts be used that pass today's guardrails.")
_changing("reject", "Keeps texts, and any like them, from being used.")
_changing("retire", "Takes texts out of use.")


def about(entry: PoolEntry) -> tuple[str, ...]:
    """Returns what an entry was written for, as the sort key of the list."""
    return (
        entry.campaign_id,
        entry.language,
        entry.channel,
        entry.target_group,
        entry.product_id,
        entry.variation_id,
    )


def _change(settings: Settings, action: str, entry_ids: tuple[str, ...], by: str, reason: str) -> bool:
    """Writes the new status of each entry and its line of the audit trail; returns False if one was refused.

    Raises Misconfigured if an entry does not exist: then nothing is changed.
    """
    entries = read_pool(settings).entries
    if unknown := [entry_id for entry_id in entry_ids if entry_id not in entries]:
        raise Misconfigured(f"the pool has no entry {', '.join(unknown)}.", "`attune pool list` shows them")
    playbook = load_playbook(settings) if action == "approve" else None
    language = detector(playbook.languages) if playbook is not None else None
    statements: list[OperatorRecord] = []
    changed = refused = 0
    for entry in (entries[entry_id] for entry_id in entry_ids):
        now = max(clock.utc_now(), entry.updated_at + timedelta(microseconds=1))
        if playbook is not None and (wrong := objections(playbook, entry, now, language)):
            refused += 1
            err.print(f"{entry.entry_id} is not approved: {'; '.join(wrong)}")
        elif entry.status != _BECOMES[action]:
            changed += 1
            after = msgspec.structs.replace(entry, status=_BECOMES[action], reviewer=by, updated_at=now)
            statements.append(OperatorRecord(POOL, entry.entry_id, after))
            statements.append(audit(by, action, f"pool:{entry.entry_id}", reason, now))
    if statements:
        publish(settings, statements, action, _CURE)
    unchanged = len(entry_ids) - changed - refused
    was = f", {unchanged} were so already" if unchanged else ""
    out.print(f"{changed} {_BECOMES[action]}{was}{f', {refused} refused' if refused else ''}")
    return not refused


def _losing(settings: Settings) -> frozenset[tuple[str, str, str]]:
    """Returns the arms that are losing by the current evidence; none while the playbook is broken: then it cannot be told."""
    try:
        playbook: Playbook = load_playbook(settings)
    except Misconfigured as error:
        err.print(f"attune: which arms lose is not shown: {error}")
        return frozenset()
    directions = ControlStateReducer()
    with TopicReader(settings, [SNAPSHOTS]) as reader:
        for record in reader.read_to_end():
            directions.take(record)
    return losing_arms(playbook, directions.current.evidence)
