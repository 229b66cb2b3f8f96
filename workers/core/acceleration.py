"""A playbook whose time runs faster: for demos, where nobody waits half an hour for a reminder."""

from __future__ import annotations

import msgspec

from workers.core.playbook import Campaign, Cap, Playbook


def accelerate(playbook: Playbook, factor: float) -> Playbook:
    """Divides delays, caps' windows and times to live by `factor`; deadlines for words stay, the LLM is no faster."""
    if factor == 1.0:
        return playbook
    replace = msgspec.structs.replace

    def faster_campaign(campaign: Campaign) -> Campaign:
        trigger = replace(campaign.trigger, delay_s=campaign.trigger.delay_s / factor)
        return replace(campaign, trigger=trigger, ttl_s=max(campaign.ttl_s / factor, 2 * campaign.deadline_s))

    def faster_cap(cap: Cap) -> Cap:
        return replace(cap, per_s=cap.per_s / factor)

    policy = replace(playbook.policy, caps=[faster_cap(cap) for cap in playbook.policy.caps])
    campaigns = {name: faster_campaign(campaign) for name, campaign in playbook.campaigns.items()}
    return replace(playbook, policy=policy, campaigns=campaigns)
