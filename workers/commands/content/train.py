"""`attune train`: trains the models that workers use."""

from __future__ import annotations

import logging
from pathlib import Path

import click
import msgspec

from workers.adapters.claims.checker import SHIPPED
from workers.adapters.playbook.loader import load_for as load_playbook
from workers.commands.terminal import one_line_errors, out
from workers.core.errors import Misconfigured
from workers.settings_loader import load


@click.group()
def train() -> None:
    """Train the models that workers use."""


@train.command()
@click.option("--epochs", type=click.IntRange(min=1), default=7, show_default=True, help="Rounds over all sentences.")
@click.option("--layers", type=click.IntRange(1, 12), default=6, show_default=True, help="Layers of the base to keep.")
@click.option("--left-out", default="", help="Trades to measure on instead, comma-separated. Default: eight of them.")
@click.option(
    "--work",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".cache/checker"),
    show_default=True,
    help="Folder of the checkpoint, from which an interrupted training goes on.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=SHIPPED,
    help="Folder for the model. Default: the one that workers read.",
)
@one_line_errors
def checker(epochs: int, layers: int, left_out: str, work: Path, output: Path) -> None:
    """Train the claim checker on the sentences in workers/training/corpora/claims.

    It needs the extra `train` (PyTorch), about 5 GB of memory and, on two cores, about 5 minutes an epoch.
    """
    try:
        from workers.training import build  # noqa: PLC0415 - only here is PyTorch needed
        from workers.training.checker import Recipe  # noqa: PLC0415
        from workers.training.claims_corpus import trades  # noqa: PLC0415
    except ImportError as error:
        raise Misconfigured(f"{error.name} is not installed.", "pip install 'attune[train]'") from error
    names = [name.strip() for name in left_out.split(",") if name.strip()] or build.LEFT_OUT
    if unknown := sorted(set(names) - set(trades())):
        raise Misconfigured(f"the corpus has no trade {', '.join(unknown)}.", f"one of: {', '.join(trades())}")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    recipe = Recipe(left_out=names, layers=layers, epochs=epochs)
    card = build.build(recipe, work, output, load_playbook(load()))
    out.print(msgspec.json.format(msgspec.json.encode(card), indent=2).decode())
