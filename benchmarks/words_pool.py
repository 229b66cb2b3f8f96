"""Sets up a pool for the words section: the shipped playbook with a pooled cart campaign, and approved texts for each request."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import msgspec
from confluent_kafka import Producer

from benchmarks.programs import ROOT
from schemas import codec
from schemas.learning import PoolEntry
from workers.adapters.kafka.config import client_config
from workers.core.catalogue import product_facts
from workers.core.generation.pool.entries import POOL
from workers.core.generation.pool.slots import with_name_slot
from workers.core.generation.templates import template_text
from workers.core.playbook.playbook import Playbook
from workers.core.profile.model import CartLine
from workers.settings import Settings

_CAMPAIGN = "cart-abandonment"
_SHIPPED = ROOT / "playbooks" / "smart-devices"


def pooled_settings(settings: Settings) -> Settings:
    """Returns the same settings with a copy of the shipped playbook whose cart campaign is pooled; no LLM is needed."""
    folder = Path(settings.data_dir) / "pooled-playbook"
    if not folder.exists():
        shutil.copytree(_SHIPPED, folder)
        campaigns = folder / "campaigns.yaml"
        before = campaigns.read_text()
        head = f"  - id: {_CAMPAIGN}\n"
        assert head in before
        campaigns.write_text(before.replace(head, f"{head}    strategy: pooled\n", 1))
    return settings.changed(playbook=str(folder), llm="off")


def approve_texts(settings: Settings, playbook: Playbook, channels: tuple[str, ...]) -> None:
    """Approves, for each product, group and channel, the template of each tone, in English."""
    producer = Producer({**client_config(settings), "partitioner": "murmur2_random"})
    for number, entry in enumerate(_entries(playbook, channels)):
        named = msgspec.structs.replace(entry, entry_id=f"bench-{number}")
        producer.produce(settings.topic(POOL), key=named.entry_id, value=codec.encode(named))
    assert producer.flush(30) == 0


def _entries(playbook: Playbook, channels: tuple[str, ...]) -> Iterator[PoolEntry]:
    for (product_id, known), group, channel, tone in product(
        playbook.products.items(), playbook.audiences.target_groups, channels, playbook.tones
    ):
        about = product_facts.product_facts(CartLine(product_id), known.currency, playbook, "en")
        text, version = template_text(playbook, _CAMPAIGN, "en", group.id, channel, about, tone)
        yield PoolEntry(
            entry_id="",
            campaign_id=_CAMPAIGN,
            channel=channel,
            language="en",
            target_group=group.id,
            product_id=product_id,
            text=with_name_slot(text, about.name),
            status="approved",
            variation_id="plain",
            prompt=_CAMPAIGN,
            prompt_version=version,
            model="hand-written",
            updated_at=datetime.now(UTC),
        )
