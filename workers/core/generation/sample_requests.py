"""Builds sample requests for each combination of campaign, variation, channel, language and target group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

import msgspec

from schemas.messages import MessageRequest
from workers.core.catalogue import product_facts
from workers.core.experimentation import arms
from workers.core.generation.requests import unaddressed
from workers.core.playbook.playbook import Playbook
from workers.core.profile.model import CartLine


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Selects the requests; an empty collection = everything in the playbook, for channels those of each campaign.

    `each`: texts per combination; those of a language and channel take the campaign's arms in turn.
    """

    campaigns: Collection[str] = ()
    products: Collection[str] = ()
    groups: Collection[str] = ()
    languages: Collection[str] = ()
    channels: Collection[str] = ()
    each: int = 2


def requests(playbook: Playbook, scope: Scope, now: datetime, deadline_s: float) -> Iterator[MessageRequest]:
    """Yields one request per campaign × product × target group × language × channel × number, the same for every run."""
    campaigns = [
        campaign for campaign in playbook.campaigns.values() if not scope.campaigns or campaign.id in scope.campaigns
    ]
    for campaign in campaigns:
        sending = list(arms.sending(campaign).values())
        written = Counter[tuple[str, str]]()  # each language and channel takes the arms in turn
        for product in playbook.products.values():
            for group in playbook.audiences.target_groups:
                for language in playbook.languages:
                    chosen = (product.product_id, group.id, language)
                    wanted = (scope.products, scope.groups, scope.languages)
                    if any(allowed and value not in allowed for value, allowed in zip(chosen, wanted, strict=True)):
                        continue
                    for channel in scope.channels or campaign.channels:
                        if playbook.channels[channel].is_templated(language):
                            continue  # a provider's template is sent, so there is no text to write
                        line = CartLine(product.product_id)
                        facts = product_facts.product_facts(line, product.currency, playbook, language)
                        for number in range(scope.each):
                            arm = sending[written[language, channel] % len(sending)]
                            written[language, channel] += 1
                            key = "/".join((campaign.id, *chosen, channel, arm.id, str(number)))
                            yield unaddressed(
                                playbook,
                                message_id=f"eval/{key}",
                                campaign_id=campaign.id,
                                channel=channel,
                                language=language,
                                target_group=group.id,
                                prompt=arm.prompt,
                                tone=arm.tone,
                                variation_id=arm.id,
                                product=facts,
                                requested_at=now,
                                deadline_at=now + timedelta(seconds=deadline_s),
                            )
