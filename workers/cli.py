"""Defines the command line `attune COMMAND`. Entry points only parse arguments, build the objects and hand over."""

from __future__ import annotations

import importlib

import click

#: command → (module of workers.commands, help line); modules are imported only when their command runs.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("run.demo", "Simulated shoppers through the whole system, live."),
    "up": ("run.up", "Run all roles, supervised."),
    "down": ("run.up", "Stop what `attune up` started."),
    "worker": ("run.worker", "Run one role in the foreground."),
    "replay": ("run.replay", "Run a file of events through the whole system."),
    "why": ("inspect.why", "Explain what a customer got, or did not get, and why."),
    "stats": ("inspect.stats", "Show what messages achieved, and what was learnt."),
    "review": ("content.review", "Look at texts before they leave: approve, edit, reject, rate."),
    "pause": ("operate.pause", "Stop messages: all, of a campaign, or on a channel."),
    "resume": ("operate.pause", "Let paused messages leave again."),
    "pool": ("content.pool", "Texts written ahead: fill, look, approve."),
    "copy": ("content.copywriting", "Write a product description or an ad."),
    "tail": ("inspect.tail", "Print the records of a topic."),
    "dlq": ("inspect.dlq", "Look at dead letters, and send them in again."),
    "topics": ("operate.topics", "Create and check topics."),
    "playbook": ("content.playbook", "Check a playbook."),
    "eval": ("content.evaluate", "Measure how well the model writes for a playbook."),
    "settings": ("operate.settings", "Print every setting with its value."),
}
#: Commands whose function has another name because theirs is a Python builtin.
_FUNCTIONS = {"eval": "evaluation"}


class Lazy(click.Group):
    """Imports a command's module only when it is used, so that `attune --help` is instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the commands in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Returns the command of that name; None if there is none."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"workers.commands.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, _FUNCTIONS.get(cmd_name, cmd_name))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="attune")
def main() -> None:
    """Attune: customer behaviour in, the right message at the right moment out."""


if __name__ == "__main__":
    main()
