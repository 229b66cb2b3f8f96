"""Defines the command line `attune COMMAND`. Commands only parse arguments, build the objects and call them."""

from __future__ import annotations

import importlib

import click

#: command → (module of workers.commands, help line); modules are imported only when their command runs.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("run.demo", "Run the whole system with simulated shoppers."),
    "up": ("run.up", "Start all roles on this machine and supervise them."),
    "down": ("run.up", "Stop a running `attune up`."),
    "worker": ("run.worker", "Run one role in the foreground."),
    "replay": ("run.replay", "Run a file of historical events through the system."),
    "why": ("inspect.why", "Explain why a customer got a message, or got none."),
    "stats": ("inspect.stats", "Show what messages achieved and what was learnt."),
    "review": ("content.review", "Review texts before they are published."),
    "pause": ("operate.pause", "Pause all messages, a campaign or a channel."),
    "resume": ("operate.pause", "Resume what was paused."),
    "pool": ("content.pool", "Generate texts in advance, and approve them."),
    "copy": ("content.copywriting", "Write a product description or an ad."),
    "tail": ("inspect.tail", "Print the records of a topic."),
    "dlq": ("inspect.dlq", "Inspect dead letters, and replay them."),
    "topics": ("operate.topics", "Create and check the Kafka topics."),
    "playbook": ("content.playbook", "Check a playbook for mistakes."),
    "eval": ("content.evaluate", "Measure how well the model writes and the guardrails judge."),
    "guardrails": ("content.guardrails", "Show what the guardrails say about a text."),
    "train": ("content.train", "Train the claim checker."),
    "settings": ("operate.settings", "Print every setting with its value."),
}
#: Commands whose function has a different name, because their own is a Python builtin.
_FUNCTIONS = {"eval": "evaluation"}


class Lazy(click.Group):
    """Imports a command's module only when the command is used, so that `attune --help` is instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the commands in the order of COMMANDS."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Returns the command with that name; None if there is none."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"workers.commands.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, _FUNCTIONS.get(cmd_name, cmd_name))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="attune")
def main() -> None:
    """Attune turns customer behaviour into the right message at the right moment."""


if __name__ == "__main__":
    main()
