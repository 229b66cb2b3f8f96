"""What all commands share: the same options for the same thing, and no foreign text that a terminal would obey."""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner
from rich.live import Live
from rich.table import Table
from rich.text import Text

from workers.cli import COMMANDS, main
from workers.commands.run.demo import _free_ports
from workers.commands.terminal import Terminal, visible
from workers.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "workers" / "commands").glob("*.py"))
WHERE = {"--brokers", "--prefix", "--data-dir"}
#: Commands that do not look at an installation, and what they need to know of one.
NARROWER = {
    "train checker": set(),
    "demo": {"--data-dir"},  # always its own Kafka and topics
    "down": {"--data-dir"},  # a process of this folder
    "copy": {"--data-dir"},  # no Kafka: the log of its LLM
    "eval text": {"--data-dir"},
    "eval guardrails": set(),  # a file and a playbook
    "guardrails explain": set(),  # a playbook
    "playbook check": set(),  # a folder of the playbook, named as argument
    "settings": set(),  # shows what holds without options
}
#: All that a terminal may obey, in one text.
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x1b[31m[bold]:bomb:\x9b31m\u202eevil\u2066\x08\x7f\rgone\u2028\ud800"


def leaves(command: click.Command, name: str = "") -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for sub in command.list_commands(context):
            found = command.get_command(context, sub)
            assert found is not None
            yield from leaves(found, f"{name} {sub}".strip())
    else:
        yield name, command


EVERY = dict(leaves(main))


def options_of(command: click.Command) -> dict[str, click.Option]:
    return {name: option for option in command.params if isinstance(option, click.Option) for name in option.opts}


@pytest.mark.parametrize("name", EVERY)
def test_every_command_says_which_installation_is_meant_in_the_same_words(name: str) -> None:
    options = options_of(EVERY[name])
    assert WHERE & options.keys() == NARROWER.get(name, WHERE)
    helps = {option: options[option].help for option in WHERE & options.keys()}
    if name == "replay":
        del helps["--prefix"]  # the one that it makes itself
    assert helps == {option: options_of(EVERY["why"])[option].help for option in helps}


def test_the_exceptions_name_commands_that_exist() -> None:
    assert NARROWER.keys() <= EVERY.keys()
    assert {name.split()[0] for name in EVERY} == COMMANDS.keys()


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [
        (("dlq", "list", "--data-dir", "inner"), "inner"),
        (("dlq", "--data-dir", "outer", "list"), "outer"),
        (("dlq", "--data-dir", "outer", "show", "t:0:0", "--data-dir", "inner"), "inner"),
        (("dlq", "--data-dir", "outer", "replay", "--live"), "outer"),
    ],
)
def test_dead_letters_are_looked_for_where_the_command_line_says(arguments: tuple[str, ...], folder: str) -> None:
    """Also where it says so before the subcommand, as it had to until now."""
    told = CliRunner(env={"ATTUNE_BROKERS": "embedded"}).invoke(main, arguments)
    hint = "run `attune up` first; if it is running, use its --data-dir or ATTUNE_DATA_DIR, or set ATTUNE_BROKERS"
    assert told.stderr == f"attune: no embedded Kafka has run in {folder}/kafka. Hint: {hint}\n"


# -- foreign text ---------------------------------------------------------------------------------------------------------


def obeyed(text: str) -> list[str]:
    """What is left in a text that a terminal would obey."""
    return [repr(letter) for letter in text if letter != "\n" and visible(letter) != letter]


def printed(*renderables: Any, **options: Any) -> str:
    file = io.StringIO()
    terminal = Terminal(file=file, **options)
    for renderable in renderables:
        terminal.print(renderable)
    return file.getvalue()


def table(cell: Any) -> Table:
    made = Table("what", title=HOSTILE)
    made.add_row(cell)
    return made


@pytest.mark.parametrize(
    "renderable",
    [HOSTILE, Text(HOSTILE), Text.assemble((HOSTILE, "bold")), table(HOSTILE), table(Text(HOSTILE))],
    ids=["text", "Text", "assembled", "cell", "Text in a cell"],
)
def test_foreign_text_is_shown_and_never_obeyed(renderable: Any) -> None:
    shown = printed(renderable, width=400)
    assert obeyed(shown) == []
    for words in (r"\u001b]0;owned", "[bold]:bomb:", r"\u009b31m", r"\u202eevil", r"\ud800"):
        assert words in re.sub(r"[\s│]", "", shown)  # a Text is measured before: its cell may wrap


def test_colours_of_our_own_stay() -> None:
    shown = printed(Text(HOSTILE, "red"), width=400, force_terminal=True, color_system="standard")
    assert shown.startswith("\x1b[31m")
    assert obeyed(shown.replace("\x1b[31m", "").replace("\x1b[0m", "")) == []


def test_the_moving_picture_shows_foreign_text_and_moves_still() -> None:
    file = io.StringIO()
    terminal = Terminal(file=file, force_terminal=True, width=400, height=20)
    with Live(console=terminal, auto_refresh=False) as live:
        live.update(Text(HOSTILE), refresh=True)
    shown = file.getvalue()
    assert "\x1b[?25l" in shown  # the cursor is hidden by rich
    assert obeyed(re.sub("\x1b\\[[?0-9;]*[a-zA-Z]|\r", "", shown)) == []
    assert "\x1b]0;" not in shown
    assert "\x1b[2J" not in shown


def test_json_with_foreign_text_stays_the_same_json() -> None:
    value = {"text": HOSTILE.replace("\ud800", "")}
    shown = printed(msgspec.json.encode(value).decode(), soft_wrap=True)
    assert obeyed(shown) == []
    assert json.loads(shown) == value


def test_a_line_break_in_foreign_text_makes_no_line_of_ours() -> None:
    file = io.StringIO()
    Terminal(file=file, soft_wrap=True).lines(["said: hello\n  ended: it was handed to the sender", "next"])
    assert file.getvalue().splitlines() == ["said: hello\\n  ended: it was handed to the sender", "next"]


@pytest.mark.parametrize("letter", ["é", "中", "👩‍🔬", "\u200c", "\t", "\n", "שלום"])
def test_what_people_write_stays(letter: str) -> None:
    assert visible(letter) == letter


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_commands_print_through_the_one_console(path: Path) -> None:
    """Whatever a command prints passes through `Terminal`: no print, no click.echo, no console of its own."""
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    names = {
        call.id if isinstance(call, ast.Name) else call.attr
        for call in calls
        if isinstance(call, ast.Name | ast.Attribute)
    }
    assert names & {"Console", "echo", "secho"} == set()
    assert "print" not in {call.id for call in calls if isinstance(call, ast.Name)}


def test_instants_are_shown_by_one_function() -> None:
    """Which turns whatever zone an event came in into UTC, before it writes UTC beside it."""
    shows = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "workers").rglob("*.py")
        if "%H:%M" in path.read_text() and "core/intake" not in path.as_posix()
    }
    assert shows == {"workers/core/common/timestamps.py"}


# -- the demo beside something else ---------------------------------------------------------------------------------------


def test_the_demo_takes_free_ports_unless_somebody_chose_one() -> None:
    ports = _free_ports(Settings().changed(metrics_port_learn=7777))
    assert ports == {f"metrics_port_{role}": 0 for role in ("intake", "personalise", "generate")}
