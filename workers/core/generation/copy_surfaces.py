"""Requests copy that is not a message (product descriptions, ads); the code for messages writes and checks it."""

from __future__ import annotations

from datetime import datetime

import msgspec

from schemas.messages import MessageRequest
from workers.core.catalogue.product_facts import facts_of
from workers.core.generation.requests import unaddressed
from workers.core.playbook.channels import Channel
from workers.core.playbook.copy import Surface
from workers.core.playbook.playbook import Playbook


def for_copy(playbook: Playbook) -> Playbook:
    """Returns the playbook for writing copy: its surfaces are the channels, and there are no campaigns."""
    return msgspec.structs.replace(
        playbook,
        channels={surface.id: as_channel(surface) for surface in playbook.surfaces.values()},
        campaigns={},
        prompts=playbook.copy_prompts,
        templates=playbook.copy_templates,
    )


def as_channel(surface: Surface) -> Channel:
    """Returns a surface as the channel that prompts and guardrails expect."""
    return Channel(id=surface.id, fields=surface.fields, max_emoji=surface.max_emoji)


def request(
    playbook: Playbook,
    surface: Surface,
    *,
    product_id: str,
    group: str,
    language: str,
    number: int,
    requested_at: datetime,
    deadline_at: datetime,
) -> MessageRequest:
    """Returns a request for the `number`-th text of this product, group and language; the same number gives the same request.

    Copy is brand-neutral: it may not state the product's brand. The product must be in the playbook.
    """
    product = facts_of(playbook.products[product_id], language, quantity=None)
    return unaddressed(
        for_copy(playbook),
        message_id="|".join((surface.id, product_id, group, language, str(number))),
        campaign_id=surface.id,
        channel=surface.id,
        language=language,
        target_group=group,
        prompt=surface.prompt,
        product=msgspec.structs.replace(product, brand=""),
        requested_at=requested_at,
        deadline_at=deadline_at,
    )
