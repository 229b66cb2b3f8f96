"""`attune playbook`: checks a playbook before it runs."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.table import Table

from workers.adapters.playbook.checks import provider_templates
from workers.adapters.playbook.loader import examine
from workers.commands.terminal import FAILED, one_line_errors, out
from workers.core.playbook.playbook import Playbook
from workers.settings_loader import load as load_settings


@click.group()
def playbook() -> None:
    """Check a playbook for mistakes."""


@playbook.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@one_line_errors
def check(folder: Path | None) -> None:
    """Report all mistakes, with file and line.

    FOLDER is the playbook to check (default: ATTUNE_PLAYBOOK). Exit code 1 if there is a mistake.
    """
    found, problems = examine(folder or Path(load_settings().playbook))
    for problem in problems:
        out.print(str(problem))
    if found is None:
        sys.exit(FAILED)
    out.print(_summary(found))


def _summary(found: Playbook) -> Table:
    table = Table(title=f"{found.name} {found.version}", title_justify="left", show_header=False)
    rows = {
        "languages": ", ".join(found.languages),
        "campaigns": ", ".join(found.campaigns),
        "channels": ", ".join(found.channels),
        "target groups": ", ".join(
            group.id + (" (default)" if group.id == found.audiences.default_target_group else "")
            for group in found.audiences.target_groups
        ),
        "segments": ", ".join(segment.id for segment in found.audiences.segments),
        "markets": "\n".join(
            f"{market.id}: {', '.join(market.rule_packs) or 'no rules'}" for market in found.policy.markets
        )
        or "none",
        "products": f"{len(found.products)}: {', '.join(found.products)}" if found.products else "0",
        "prompts": ", ".join(f"{prompt.id} {prompt.language} ({prompt.version})" for prompt in found.prompts.values()),
        "templates": str(len(found.templates)),
        "copy": ", ".join(found.surfaces),
    }
    if previews := "\n".join(provider_templates.previews(found)):
        rows["provider templates"] = previews
    for name, value in rows.items():
        table.add_row(name, value)
    return table
