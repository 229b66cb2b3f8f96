"""`attune pool`: lists the texts that were generated in advance, and changes which may be used."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

import click
import msgspec

from schemas.learning import PoolEntry
from workers.adapters.claims.models import load_models
from workers.adapters.kafka.pool_topic import read_pool
from workers.adapters.kafka.publisher import OperatorRecord, audit, person, publish
from workers.adapters.kafka.reader import TopicReader
from workers.adapters.playbook.loader import load_for as load_playbook
from workers.adapters.process import clock
from workers.commands.terminal import FAILED, err, one_line_errors, out
from workers.core.decisioning.control_state import SNAPSHOTS, ControlStateReducer
from workers.core.errors import Misconfigured
from workers.core.generation.pool.entries import POOL
from workers.core.generation.pool.planning import objections
from workers.core.guardrails.models import NO_MODELS
from workers.core.playbook.playbook import Playbook
from workers.core.reporting.standings import losing_arms
from workers.local.installation import on_installation, reachable
from workers.settings import Settings

Status = Literal["draft", "approved", "rejected", "retired"]

#: Action on entries → their status afterwards.
_BECOMES: dict[str, Status] = {"approve": "approved", "reject": "rejected", "retire": "retired"}
_RETRY_HINT = "`attune pool list` shows the current state; run the command again"


class Group(click.Group):
    """Imports `fill`, and with it the LLM client, only when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the commands in the order in which they are used."""
        return ["fill", *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Returns the command with that name; None if there is none."""
        if cmd_name == "fill":
            from workers.commands.content.pool_fill import fill  # noqa: PLC0415

            return fill
        return super().get_command(ctx, cmd_name)


@click.group(cls=Group)
def pool() -> None:
    """Manage texts that are generated in advance: fill the pool, list it, approve texts."""


@pool.command("list")
@click.option(
    "--status",
    type=click.Choice(["draft", "approved", "rejected", "retired"]),
    help="List only entries with this status.",
)
@click.option("--campaign", help="List only entries of this campaign.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per entry.")
@one_line_errors
@on_installation
def show(settings: Settings, status: str | None, campaign: str | None, as_json: bool) -> None:
    """List the entries with ID, status, purpose and text.

    `losing` marks approved texts of an arm that the system has learnt to avoid.
    """
    with reachable(settings) as running:
        entries = read_pool(running).entries
        losing = frozenset() if as_json else _losing(running)
    found = sorted(
        (
            entry
            for entry in entries.values()
            if status in (None, entry.status) and campaign in (None, entry.campaign_id)
        ),
        key=lambda entry: (*purpose(entry), entry.entry_id),
    )
    for entry in found:
        if as_json:
            out.print(msgspec.json.encode(entry).decode())
            continue
        by = f" by {entry.reviewer}" if entry.reviewer else ""
        is_losing = entry.status == "approved" and (entry.campaign_id, entry.target_group, entry.variation_id) in losing
        what = " ".join(filter(None, (*purpose(entry), entry.model, "losing" if is_losing else "")))
        text = " / ".join(filter(None, msgspec.structs.astuple(entry.text)))
        out.lines([f"{entry.entry_id} {entry.status}{by}: {what}", f"    {text}"])
    if not found and not as_json:
        out.print("the pool has no such entries; `attune pool fill` generates texts")


def _changing(name: str, what: str) -> None:
    """Defines one of the commands approve, reject and retire."""

    @pool.command(name, help=what)
    @click.argument("entry_ids", metavar="ENTRY...", nargs=-1, required=True)
    @click.option("--by", help="Name for the audit trail. Default: the user of this machine.")
    @click.option("--reason", default="", help="Reason, recorded in the audit trail.")
    @one_line_errors
    @on_installation
    def _command(settings: Settings, entry_ids: tuple[str, ...], by: str | None, reason: str) -> None:
        with reachable(settings) as running:
            if not _change(running, name, tuple(dict.fromkeys(entry_ids)), by or person(), reason):
                raise SystemExit(FAILED)


_changing("approve", "Approve texts for use. Texts that fail the current guardrails are refused.")
_changing("reject", "Reject texts, so that they and similar texts are never used.")
_changing("retire", "Retire texts, so that they are no longer used.")


def purpose(entry: PoolEntry) -> tuple[str, ...]:
    """Returns the purpose of an entry; it is the sort key of the list."""
    return (
        entry.campaign_id,
        entry.language,
        entry.channel,
        entry.target_group,
        entry.product_id,
        entry.variation_id,
    )


def _change(settings: Settings, action: str, entry_ids: tuple[str, ...], by: str, reason: str) -> bool:
    """Publishes the new status of each entry and a record for the audit trail; returns False if one was refused.

    Raises Misconfigured, and changes nothing, if an entry does not exist.
    """
    entries = read_pool(settings).entries
    if unknown := [entry_id for entry_id in entry_ids if entry_id not in entries]:
        raise Misconfigured(f"the pool has no entry {', '.join(unknown)}.", "`attune pool list` shows them")
    playbook = load_playbook(settings) if action == "approve" else None
    models = load_models(playbook) if playbook is not None else NO_MODELS
    records: list[OperatorRecord] = []
    changed = refused = 0
    for entry in (entries[entry_id] for entry_id in entry_ids):
        now = max(clock.utc_now(), entry.updated_at + timedelta(microseconds=1))
        if playbook is not None and (reasons := objections(playbook, entry, now, models)):
            refused += 1
            err.print(f"{entry.entry_id} is not approved: {'; '.join(reasons)}")
        elif entry.status != _BECOMES[action]:
            changed += 1
            after = msgspec.structs.replace(entry, status=_BECOMES[action], reviewer=by, updated_at=now)
            records.append(OperatorRecord(POOL, entry.entry_id, after))
            records.append(audit(by, action, f"pool:{entry.entry_id}", reason, now))
    if records:
        publish(settings, records, action, _RETRY_HINT)
    unchanged = len(entry_ids) - changed - refused
    was = f", {unchanged} unchanged" if unchanged else ""
    out.print(f"{changed} {_BECOMES[action]}{was}{f', {refused} refused' if refused else ''}")
    return not refused


def _losing(settings: Settings) -> frozenset[tuple[str, str, str]]:
    """Returns the arms that are losing by the current evidence; an empty set, with a notice, if the playbook is broken."""
    try:
        playbook: Playbook = load_playbook(settings)
    except Misconfigured as error:
        err.print(f"attune: losing arms are not marked: {error}")
        return frozenset()
    reducer = ControlStateReducer()
    with TopicReader(settings, [SNAPSHOTS]) as reader:
        for record in reader.read_to_end():
            reducer.take(record)
    return losing_arms(playbook, reducer.current.evidence)
