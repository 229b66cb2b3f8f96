"""`attune stats`: shows what messages achieved and what was learnt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import click
import msgspec
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from schemas import codec
from schemas.learning import Estimate, FeedbackMetrics
from schemas.messages import Decision, Outcome
from workers.adapters.kafka.reader import TopicReader, other_prefixes
from workers.adapters.playbook.loader import load_for as load_playbook
from workers.adapters.state.changelog_reader import LaneStates
from workers.commands.terminal import Terminal, err, one_line_errors, out
from workers.core.decisioning.control_state import SNAPSHOTS, ControlState, ControlStateReducer
from workers.core.errors import Misconfigured, Unavailable
from workers.core.playbook.playbook import Playbook
from workers.core.reporting import labels
from workers.core.reporting.ledger_counts import Decided, Ledger
from workers.core.reporting.standings import By, Row, Standing, rows, standings
from workers.local.installation import on_installation, reachable
from workers.settings import Settings

METRICS = "feedback.metrics"
LEDGER = ("message.decisions", "message.outcomes")
Steps = tuple[tuple[str, str, bool], ...]
#: The lines of a row: label, count (its rate has the same name), whether 0 is shown.
_STEPS = (
    ("requested", "requested", True),
    ("control group", "holdout", False),
    ("not sent by choice", "no_action", False),
    ("published", "published", True),
    ("delivered", "delivered", True),
    ("opened by people", "opened", True),
    ("opened by machines", "machine_opened", False),
    ("clicked", "clicked", True),
    ("bought after the message", "converted", True),
    ("unsubscribed", "unsubscribed", True),
    ("reported as spam", "complained", False),
    ("undeliverable", "bounced", False),
)
#: Customers, each counted once; the effect is computed from them.
_CUSTOMERS = (
    ("customers with a request", "requested_customers", False),
    ("  bought, with or without a message", "requested_customers_converted", False),
    ("customers in the control group", "holdout_customers", False),
    ("  bought", "holdout_customers_converted", False),
)
_EXPLANATION = (
    "Shares after `published` are of the published messages; their intervals assume independent messages, and are too narrow "
    "where customers get many. Effect: how many more of 100 customers bought after their first message in 4 weeks, among "
    "those who were to receive it, than in the control group."
)
_GUARANTEE = "Its interval is valid at 95 %{together}, however often you check."
#: Width of the output to files and pipes, which have no width of their own.
_WIDTH = 100


@click.command()
@click.option("--campaign", help="Show only this campaign.")
@click.option(
    "--by",
    type=click.Choice(["campaign", "arm", "group", "channel"]),
    default="campaign",
    show_default=True,
    help="Grouping of the rows.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@one_line_errors
@on_installation
def stats(settings: Settings, campaign: str | None, by: By, as_json: bool) -> None:
    """Show what messages achieved and what was learnt.

    The output has counts and rates with 95 % intervals, the effect compared with the control group, the standing of each arm,
    and the number of waiting occurrences. Where `learn` has counted nothing (a replay), decisions are counted from the ledger.
    """
    playbook = _playbook(settings)
    with reachable(settings) as running:
        metrics, control = _read(running)
        found, arms = rows(metrics, by, campaign), standings(control.evidence, playbook, campaign)
        decided = [] if found or arms else _decided(running, by, campaign)
        waiting = _pending_counts(running)
        other_installations = [] if found or arms or decided else other_prefixes(running)
    if as_json:
        results = {"by": by, "rows": found, "arms": arms, "pending": waiting, "ledger": decided}
        out.print(msgspec.json.encode(results).decode())
        return
    wide = out if out.is_terminal else Terminal(width=_WIDTH)
    if found:
        wide.print(_achieved(found, by))
        out.print(f"{_EXPLANATION} {_guarantee(found)}".rstrip())
    if arms:
        wide.print(_learnt(arms))
    if decided:
        wide.print(_ledger(decided, by))
    elif not found and not arms:
        out.print("Nothing is counted yet: no decision has been made" + (f" for {campaign}." if campaign else "."))
    if other_installations:
        out.lines(
            [
                "Replays and other installations on this Kafka:",
                *(f"  --prefix '{name}'" for name in other_installations),
            ]
        )
    if any(waiting.values()):
        wide.print(_waiting(waiting))


def _playbook(settings: Settings) -> Playbook | None:
    """Returns None, with a notice, if the playbook cannot be used; the results do not depend on it."""
    try:
        return load_playbook(settings)
    except Misconfigured as error:
        err.print(f"attune: the playbook cannot be used, so the probabilities of the next choice are unknown: {error}")
        return None


def _read(settings: Settings) -> tuple[list[FeedbackMetrics], ControlState]:
    """Returns the newest record of each key, and the evidence; unreadable records are skipped."""
    newest: dict[bytes | None, FeedbackMetrics] = {}
    reducer = ControlStateReducer()
    with TopicReader(settings, [METRICS, SNAPSHOTS]) as reader:
        for record in reader.read_to_end():
            if record.topic == SNAPSHOTS:
                reducer.take(record)
                continue
            newest.pop(record.key, None)
            if record.value is not None:
                try:
                    newest[record.key] = codec.decode(FeedbackMetrics, record.value)
                except codec.Malformed:
                    continue
    return list(newest.values()), reducer.current


def _decided(settings: Settings, by: By, campaign: str | None) -> list[Decided]:
    """Returns the decisions counted from the ledger; unreadable records are skipped."""
    ledger = Ledger(by, campaign)
    with TopicReader(settings, LEDGER) as reader:
        for record in reader.read_to_end():
            try:
                value = codec.decode_topic(record.topic, record.value)
            except codec.Malformed:
                continue
            if isinstance(value, Decision | Outcome):
                ledger.add(value)
    return ledger.rows()


def _pending_counts(settings: Settings) -> dict[str, int]:
    """Returns the number of waiting occurrences and requests by reason; an empty dict, with a notice, if the lanes' state is
    unreadable.
    """
    try:
        with LaneStates(settings) as states:
            return states.pending()
    except Unavailable as error:
        err.print(f"attune: waiting occurrences are not shown: {error}")
        return {}


def _ledger(decided: Sequence[Decided], by: By) -> Table:
    """Returns a table with one section per row: decisions by reason, then how the requests ended."""
    table = Table(title="What was decided (`learn` has counted nothing here)", title_justify="left", box=SIMPLE_HEAD)
    table.add_column(by)
    table.add_column("count", justify="right", no_wrap=True)
    for row in decided:
        table.add_row(Text(_name(row.key, by), style="bold"), f"{row.decisions.total():,}")
        for what, counts in (("", row.decisions), ("ended: ", row.outcomes)):
            for reason, count in counts.most_common():
                table.add_row(f"  {what}{labels.reason(reason)}", f"{count:,}")
        table.add_section()
    return table


def _waiting(waiting: Mapping[str, int]) -> Table:
    table = Table(title="What is waiting", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("for")
    table.add_column("count", justify="right", no_wrap=True)
    for reason, count in waiting.items():
        table.add_row(labels.PENDING_COUNTS.get(reason, reason), f"{count:,}")
    return table


def _achieved(found: Sequence[Row], by: By) -> Table:
    """Returns a table with one section per row: the steps from the occurrence to the purchase."""
    table = Table(title="What messages achieved", title_justify="left", box=SIMPLE_HEAD)
    table.add_column(by)
    for column in ("count", "share", "95 % interval"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in found:
        table.add_row(Text(_name(row.key, by), style="bold"))
        for what, *numbers in _lines(row.counts):
            table.add_row(f"  {what}", *numbers)
        table.add_section()
    return table


def _lines(counts: FeedbackMetrics) -> Iterator[tuple[str, str, str, str]]:
    """Yields (label, count, share, interval); counts of 0 are omitted unless the step is always shown."""
    yield from _counted(counts, _STEPS)
    for currency, amount in sorted(counts.revenue.items()):
        yield "revenue", f"{amount:,.2f} {currency}", "", ""
    yield from _counted(counts, _CUSTOMERS)
    if counts.uplift is not None:
        value, low, high = (f"{end * 100:+.1f}" for end in (counts.uplift.value, counts.uplift.low, counts.uplift.high))
        yield "effect", "", f"{value} points", f"{low} to {high}"


def _counted(counts: FeedbackMetrics, steps: Steps) -> Iterator[tuple[str, str, str, str]]:
    for what, field, always in steps:
        count, rate = getattr(counts, field), counts.rates.get(field)
        if count or always:
            yield what, f"{count:,}", *((labels.percent(rate.value), _range(rate)) if rate else ("", ""))


def _guarantee(found: Sequence[Row]) -> str:
    """Returns the guarantee of the effects' intervals; empty if there are no effects."""
    effects = sum(row.counts.uplift is not None for row in found)
    return _GUARANTEE.format(together=" for all effects at once" if effects > 1 else "") if effects else ""


def _name(key: tuple[str, ...], by: By) -> str:
    if by == "arm":
        return f"{key[0]}: {labels.arm(key[1]) if key[1] else 'nothing to choose'}"
    return key[0] or "none"


def _range(share: Estimate) -> str:
    low, high = (labels.percent(end).removesuffix(" %") for end in (share.low, share.high))
    return f"{low} to {high} %"


def _learnt(arms: Sequence[Standing]) -> Table:
    table = Table("arm", title="What was learnt", title_justify="left", box=SIMPLE_HEAD)
    for column in ("trials", "still open", "mean reward", "probability now"):
        table.add_column(column, justify="right")
    for (campaign, group), standing in groupby(arms, key=lambda one: (one.campaign_id, one.target_group)):
        table.add_row(Text(f"{campaign}, {group or 'no target group'}", style="bold"))
        for one in standing:
            table.add_row(
                Text(f"  {labels.arm(one.arm)}"),
                f"{one.trials:,.1f}",
                f"{one.pending:,.0f}",
                "-" if one.mean_reward is None else f"{one.mean_reward:.3f}",
                "unknown" if one.chance is None else labels.percent(one.chance),
            )
        table.add_section()
    return table
