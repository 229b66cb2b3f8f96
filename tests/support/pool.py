"""Provides entries of the pool, a playbook with a pooled campaign, and LLM answers for both."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec

from schemas import codec
from schemas.learning import PoolEntry
from schemas.messages import MessageText
from tests.support.playbooks import CAMPAIGN, NOW, playbook
from workers.core.generation.pool.entries import POOL, TextPool
from workers.core.playbook.playbook import Playbook
from workers.core.stream.records import Record

TEXTS = (
    MessageText(
        title="Your {product_name} is waiting", body="Workout recording and sleep tracking, still in your cart."
    ),
    MessageText(title="Ready when you are", body="Your {product_name} is in the cart, with its heart-rate monitoring."),
    MessageText(
        title="Still thinking it over?", body="Up to 7 days of battery life: the {product_name} is in your cart."
    ),
)


def entry(number: int = 0, **fields: Any) -> PoolEntry:
    """Returns an approved push text about the band for English-speaking sports fans."""
    values: dict[str, Any] = {
        "entry_id": f"e{number}",
        "campaign_id": CAMPAIGN,
        "channel": "push",
        "language": "en",
        "target_group": "sports",
        "product_id": "smart-band",
        "text": TEXTS[number % len(TEXTS)],
        "status": "approved",
        "variation_id": "plain",
        "prompt": CAMPAIGN,
        "prompt_version": "p-1",
        "model": "tiny",
        "updated_at": NOW,
    }
    return PoolEntry(**(values | fields))


def record(value: PoolEntry, offset: int = 0) -> Record:
    """Returns an entry as a record of its topic."""
    return Record(
        topic=POOL,
        partition=0,
        offset=offset,
        key=value.entry_id.encode(),
        value=codec.encode(value),
        appended_at_s=0.0,
    )


def pool_of(entries: Iterable[PoolEntry]) -> TextPool:
    """Returns a pool that has read these entries."""
    pool = TextPool()
    for value in entries:
        pool.take(record(value))
    return pool


@cache
def pooled_playbook(**fields: Any) -> Playbook:
    """Returns the first playbook with a pooled cart campaign; its arms are `plain` and `question`, without tones."""
    shipped = playbook()
    campaign = msgspec.structs.replace(shipped.campaigns[CAMPAIGN], **({"strategy": "pooled", "tones": []} | fields))
    return msgspec.structs.replace(shipped, campaigns=shipped.campaigns | {CAMPAIGN: campaign})


def chat(text: dict[str, str], model: str = "fake-1") -> bytes:
    """Returns a chat reply with this text, like that of a server."""
    choice = {"message": {"role": "assistant", "content": json.dumps(text)}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    return json.dumps({"choices": [choice], "model": model, "usage": usage}).encode()
