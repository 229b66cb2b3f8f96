"""`attune settings`: prints every setting, its value and where it is documented."""

from __future__ import annotations

import click

from workers.commands.terminal import one_line_errors, out
from workers.settings import Settings, load


@click.command()
@one_line_errors
def settings() -> None:
    """Prints every setting as the workers would read it; secrets are hidden."""
    current, default = load(), Settings().flat()
    for name, value in current.printable().items():
        changed = "" if current.flat()[name] == default[name] else "   (changed)"
        out.print(f"ATTUNE_{name.upper()}={value}{changed}")
