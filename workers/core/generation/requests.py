"""Builds requests for texts without a recipient: samples, pool entries, copy for surfaces."""

from __future__ import annotations

from datetime import datetime

from schemas.messages import MessageRequest, ProductFacts
from workers.core.playbook.playbook import Playbook

#: The user of a request without a recipient.
NO_USER = "nobody"


def unaddressed(
    playbook: Playbook,
    *,
    message_id: str,
    campaign_id: str,
    channel: str,
    language: str,
    target_group: str,
    prompt: str,
    product: ProductFacts,
    requested_at: datetime,
    deadline_at: datetime,
    tone: str | None = None,
    variation_id: str | None = None,
) -> MessageRequest:
    """Returns a request of the lowest priority. Sampling seeds derive from `message_id`: the same id gives the same text.

    The template is that of the campaign, or of the prompt if `campaign_id` is a surface.
    """
    campaign, known = playbook.campaigns.get(campaign_id), playbook.prompts.get((prompt, language))
    return MessageRequest(
        message_id=message_id,
        decision_id=message_id,
        user_id=NO_USER,
        customer_ref=NO_USER,
        campaign_id=campaign_id,
        channel=channel,
        category=campaign.category if campaign is not None else "marketing",
        priority=0,
        language=language,
        locale=language,
        target_group=target_group,
        prompt=prompt,
        prompt_version=known.version if known is not None else "",
        template=campaign.prompt if campaign is not None else "",
        tone=tone,
        variation_id=variation_id,
        product=product,
        requested_at=requested_at,
        deadline_at=deadline_at,
        playbook_version=playbook.version,
    )
