"""The held-out texts of tests/labelled/gate: one folder a trade, with its products and texts labelled good or bad."""

from __future__ import annotations

from pathlib import Path

import msgspec
import yaml

from schemas.catalogue import CatalogueProduct
from tests.support.playbooks import playbook
from workers.core.generation.evaluation.gate_accuracy import LabelledText
from workers.core.playbook.channels import Channel
from workers.core.playbook.playbook import Playbook

FOLDER = Path(__file__).resolve().parents[1] / "labelled" / "gate"
TRADES = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())


def texts(trade: str) -> list[LabelledText]:
    """Returns the texts of a trade."""
    lines = (FOLDER / trade / "texts.jsonl").read_bytes().splitlines()
    return [msgspec.json.decode(line, type=LabelledText) for line in lines if line.strip()]


def products(trade: str) -> dict[str, CatalogueProduct]:
    """Returns the products of a trade by id."""
    document = yaml.safe_load((FOLDER / trade / "products.yaml").read_text())
    found = msgspec.convert(document["products"], list[CatalogueProduct], strict=False)
    return {product.product_id: product for product in found}


def playbook_of(trade: str) -> Playbook:
    """Returns a playbook for a trade: its products, and channels with the fields and lengths its texts were written for."""
    known = products(trade)
    channels = yaml.safe_load((FOLDER / "channels.yaml").read_text())["channels"]
    return msgspec.structs.replace(
        playbook(),
        products=known,
        category_names={product.category: dict(product.category_name) for product in known.values()},
        channels={channel.id: channel for channel in msgspec.convert(channels, list[Channel])},
    )
