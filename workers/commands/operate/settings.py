"""`attune settings`: prints every setting with its value."""

from __future__ import annotations

import click

from workers.commands.terminal import one_line_errors, out
from workers.settings import Settings
from workers.settings_loader import load


@click.command()
@one_line_errors
def settings() -> None:
    """Print every setting with the value that the workers would use; secrets are hidden."""
    current, default = load(), Settings().flat()
    for name, value in current.printable().items():
        changed = "" if current.flat()[name] == default[name] else "   (changed)"
        out.print(f"ATTUNE_{name.upper()}={value}{changed}")
