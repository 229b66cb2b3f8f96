"""`attune pause` and `attune resume` on a real broker: what workers hear, what is told, what is refused."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from schemas import codec
from schemas.control import AuditRecord, ControlSwitch
from tests.support.waiting import wait_until
from tests.support.workers import prepare, produce, read
from workers.adapters.kafka.broadcast_state import Follower
from workers.adapters.kafka.publisher import AUDIT
from workers.commands.operate.pause import pause, resume
from workers.core.decisioning.control_state import SWITCHES
from workers.settings import Settings, to_environment

pytestmark = pytest.mark.kafka


class Terminal:
    """The two commands on one installation."""

    def __init__(self, settings: Settings) -> None:
        self._runner = CliRunner(env=to_environment(settings))

    def pause(self, *arguments: str) -> Result:
        return self._runner.invoke(pause, arguments)

    def resume(self, *arguments: str) -> Result:
        return self._runner.invoke(resume, arguments)


@pytest.fixture
def terminal(settings: Settings) -> Terminal:
    return Terminal(prepare(settings))


def test_workers_hear_a_pause_and_its_end(settings: Settings, terminal: Terminal) -> None:
    with Follower(settings) as follower:
        paused = terminal.pause("--campaign", "cart-abandonment", "--reason", "wrong price")
        assert paused.exit_code == 0, paused.output
        assert paused.stdout == (
            "campaign cart-abandonment is paused: within 5 s no new message is published; what becomes due meanwhile "
            "is recorded as `paused` and is not sent later\n"
        )
        wait_until(lambda: follower.current.paused == {"campaign:cart-abandonment"}, 5, "the pause is heard")
        resumed = terminal.resume("--campaign", "cart-abandonment")
        assert "is resumed" in resumed.stdout
        wait_until(lambda: follower.current.paused == set(), 5, "the end of the pause is heard")


def test_the_audit_trail_says_who_did_what_and_why(settings: Settings, terminal: Terminal) -> None:
    terminal.pause("--channel", "push", "--reason", "complaints")
    terminal.resume("--channel", "push")
    records = [(record.key, codec.decode(AuditRecord, record.value)) for record in read(settings, AUDIT)]
    assert {key for key, _ in records} == {b"channel:push"}
    assert [(found.action, found.subject, found.detail) for _, found in records] == [
        ("pause", "channel:push", "complaints"),
        ("resume", "channel:push", ""),
    ]
    assert {found.actor for _, found in records} == {getpass.getuser()}
    assert len({found.audit_id for _, found in records}) == 2


def test_the_list_names_what_is_paused_since_when_by_whom_and_why(terminal: Terminal) -> None:
    assert terminal.pause("--list").stdout == "nothing is paused\n"
    terminal.pause("--all", "--reason", "a wrong [bold]price[/bold]")
    terminal.pause("--channel", "email")
    first, second = terminal.pause("--list").stdout.splitlines()
    assert first.startswith(f"everything is paused since {datetime.now(UTC):%Y-%m-%d}")
    assert first.endswith(f"UTC by {getpass.getuser()}: a wrong [bold]price[/bold]")
    assert second.startswith("channel email is paused since")
    resumed = terminal.resume("--channel", "email").stdout.splitlines()
    assert resumed[1] == "still paused: everything"


@pytest.mark.parametrize("arguments", [("--campaign", "cart"), ("--channel", "pigeon")])
def test_a_name_that_the_playbook_does_not_have_is_refused_with_those_it_has(
    settings: Settings, terminal: Terminal, arguments: tuple[str, str]
) -> None:
    for refused in (terminal.pause(*arguments), terminal.resume(*arguments)):
        assert refused.exit_code == 78
        assert f"no {arguments[0].removeprefix('--')} {arguments[1]}" in refused.stderr
        assert ("cart-abandonment" if arguments[0] == "--campaign" else "email, in_app, push, sms") in refused.stderr
    assert read(settings, SWITCHES) == []


def test_a_broken_playbook_does_not_keep_anybody_from_pausing(settings: Settings, tmp_path: Path) -> None:
    settings = prepare(settings).changed(playbook=str(tmp_path / "missing"))
    paused = Terminal(settings).pause("--campaign", "cart-abandonment")
    assert paused.exit_code == 0
    assert "the name was not checked" in paused.stderr
    assert "campaign cart-abandonment is paused" in paused.stdout


@pytest.mark.parametrize("arguments", [(), ("--all", "--channel", "push"), ("--campaign", "a", "--channel", "push")])
def test_exactly_one_scope_must_be_named(terminal: Terminal, arguments: tuple[str, ...]) -> None:
    for refused in (terminal.pause(*arguments), terminal.resume(*arguments)):
        assert refused.exit_code == 78
        assert "one of --all, --campaign C, --channel H" in refused.stderr


def test_a_campaign_that_left_the_playbook_can_be_resumed(settings: Settings, terminal: Terminal) -> None:
    switch = ControlSwitch(scope="campaign:gone", state="paused", changed_at=datetime.now(UTC))
    produce(settings, SWITCHES, [(b"campaign:gone", codec.encode(switch))])
    assert "campaign gone is resumed" in terminal.resume("--campaign", "gone").stdout
    assert terminal.pause("--list").stdout == "nothing is paused\n"


def test_resuming_what_is_not_paused_says_so_and_writes_nothing(settings: Settings, terminal: Terminal) -> None:
    resumed = terminal.resume("--all")
    assert resumed.stdout == "everything was not paused: nothing has changed\n"
    assert read(settings, SWITCHES) == read(settings, AUDIT) == []


def test_a_person_wins_over_a_clock_that_was_ahead(settings: Settings, terminal: Terminal) -> None:
    ahead = ControlSwitch(scope="all", state="running", changed_at=datetime.now(UTC) + timedelta(hours=1))
    produce(settings, SWITCHES, [(b"all", codec.encode(ahead))])
    terminal.pause("--all")
    with Follower(settings) as follower:
        assert follower.current.paused == {"all"}


def test_topics_that_are_missing_are_named_and_not_made(settings: Settings) -> None:
    refused = Terminal(settings).pause("--all")
    assert refused.exit_code == 78
    assert "there is no topic" in refused.stderr
