"""`attune settings`: every setting, its value and where its documentation stands."""

from __future__ import annotations

import click
import msgspec

from workers.commands.console import one_line_errors, out
from workers.settings import SECRETS, Settings, load


@click.command()
@one_line_errors
def settings() -> None:
    """Prints every setting as the workers would read it; secrets are hidden."""
    current, default = load(), Settings()
    for name, value in msgspec.structs.asdict(current).items():
        shown = "***" if name in SECRETS and value else value
        changed = "" if value == getattr(default, name) else "   (changed)"
        out.print(f"ATTUNE_{name.upper()}={shown}{changed}", markup=False)
