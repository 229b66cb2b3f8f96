"""`attune pause` and `attune resume`: stop and resume publishing, with a switch that every worker follows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Literal, ParamSpec, TypeVar, Unpack

import click

from schemas.control import ControlSwitch
from workers.adapters.kafka.publisher import OperatorRecord, audit, person, publish
from workers.adapters.kafka.reader import TopicReader
from workers.adapters.playbook.loader import load_for as load_playbook
from workers.adapters.process import clock
from workers.commands.terminal import err, one_line_errors, out
from workers.core.common.timestamps import utc
from workers.core.decisioning.control_state import (
    EVERYTHING,
    SWITCHES,
    ControlStateReducer,
    campaign_scope,
    channel_scope,
)
from workers.core.errors import Misconfigured
from workers.local.installation import Where, installation_options, reachable
from workers.settings import Settings
from workers.settings_loader import load

P = ParamSpec("P")
R = TypeVar("R")


def _options(command: Callable[P, R]) -> Callable[P, R]:
    """Adds the options of both commands."""
    for option in (
        installation_options(),
        click.option("--reason", default="", help="Reason, recorded in the audit trail."),
        click.option("--channel", help="All messages on one channel."),
        click.option("--campaign", help="All messages of one campaign."),
        click.option("--all", "everything", is_flag=True, help="All messages."),
    ):
        command = option(command)
    return command


@click.command()
@_options
@click.option("--list", "listing", is_flag=True, help="List what is paused, since when, by whom and why.")
@one_line_errors
def pause(
    everything: bool, campaign: str | None, channel: str | None, reason: str, listing: bool, **where: Unpack[Where]
) -> None:
    """Pause all messages, a campaign or a channel.

    Profiles are still updated and occurrences recorded, but no message is published.
    """
    settings = load(**where)
    if listing:
        if everything or campaign or channel:
            raise Misconfigured("--list shows every scope.", "use `attune pause --list` without a scope")
        with reachable(settings) as running:
            _list(_switches(running))
        return
    scope = _scope(everything, campaign, channel)
    _check_known(settings, campaign, channel)
    with reachable(settings) as running:
        current = _switches(running)
        _publish_switch(running, _switch(scope, "paused", reason, current.get(scope)))
    out.print(
        f"{_label(scope)} is paused: within 5 s no new message is published; what becomes due meanwhile is recorded "
        "as `paused` and is not sent later"
    )


@click.command()
@_options
@one_line_errors
def resume(everything: bool, campaign: str | None, channel: str | None, reason: str, **where: Unpack[Where]) -> None:
    """Resume all messages, a campaign or a channel.

    What became due during the pause is not sent later.
    """
    scope = _scope(everything, campaign, channel)
    settings = load(**where)
    with reachable(settings) as running:
        current = _switches(running)
        if _is_paused(current.get(scope)):
            _publish_switch(running, _switch(scope, "running", reason, current.get(scope)))
            out.print(f"{_label(scope)} is resumed: what becomes due from now on may be published")
        else:
            _check_known(settings, campaign, channel)  # otherwise a typo would look like a success
            out.print(f"{_label(scope)} was not paused: nothing has changed")
    if rest := [_label(other) for other, switch in sorted(current.items()) if other != scope and _is_paused(switch)]:
        out.print(f"still paused: {', '.join(rest)}")


def _scope(everything: bool, campaign: str | None, channel: str | None) -> str:
    """Raises Misconfigured unless exactly one scope is named."""
    scopes = [EVERYTHING] if everything else []
    scopes += [campaign_scope(campaign)] if campaign else []
    scopes += [channel_scope(channel)] if channel else []
    if len(scopes) != 1:
        raise Misconfigured(
            "name exactly one of --all, --campaign C, --channel H.", "`attune pause --list` shows what is paused"
        )
    return scopes[0]


def _check_known(settings: Settings, campaign: str | None, channel: str | None) -> None:
    """Raises Misconfigured for an unknown name, whose switch would look like a pause and have no effect.

    While the playbook is broken, names cannot be checked: being able to pause matters more than the check.
    """
    if campaign is None and channel is None:
        return
    try:
        playbook = load_playbook(settings)
    except Misconfigured as error:
        err.print(f"attune: the name was not checked: {error}")
        return
    kind, name, known = (
        ("campaign", campaign, playbook.campaigns) if campaign else ("channel", channel, playbook.channels)
    )
    if name not in known:
        raise Misconfigured(f"the playbook has no {kind} {name}.", f"one of: {', '.join(sorted(known))}")


def _switches(settings: Settings) -> dict[str, ControlSwitch]:
    reducer = ControlStateReducer()
    with TopicReader(settings, [SWITCHES]) as reader:
        for record in reader.read_to_end():
            reducer.take(record)
    return dict(reducer.switches)


def _switch(
    scope: str, state: Literal["paused", "running"], reason: str, current: ControlSwitch | None
) -> ControlSwitch:
    """Returns a switch newer than the current one of its scope, even if a machine whose clock is ahead has set that one."""
    now = clock.utc_now()
    if current is not None:
        now = max(now, current.changed_at + timedelta(microseconds=1))
    return ControlSwitch(scope=scope, state=state, reason=reason, changed_by=person(), changed_at=now)


def _publish_switch(settings: Settings, switch: ControlSwitch) -> None:
    """Publishes the switch and its record for the audit trail; returns once every replica has both. Raises Unavailable."""
    action = "pause" if switch.state == "paused" else "resume"
    records = [
        OperatorRecord(SWITCHES, switch.scope, switch),
        audit(switch.changed_by, action, switch.scope, switch.reason, switch.changed_at),
    ]
    publish(settings, records, action, "`attune pause --list` shows what is paused; run the command again")


def _is_paused(switch: ControlSwitch | None) -> bool:
    return switch is not None and switch.state == "paused"


def _label(scope: str) -> str:
    return "everything" if scope == EVERYTHING else scope.replace(":", " ", 1)


def _list(switches: dict[str, ControlSwitch]) -> None:
    paused = [switch for _, switch in sorted(switches.items()) if _is_paused(switch)]
    for switch in paused:
        since = f"since {utc(switch.changed_at)}"
        by = f" by {switch.changed_by}" if switch.changed_by else ""
        why = f": {switch.reason}" if switch.reason else ""
        out.lines([f"{_label(switch.scope)} is paused {since}{by}{why}"])
    if not paused:
        out.print("nothing is paused")
