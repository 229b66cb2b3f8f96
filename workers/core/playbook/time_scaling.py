"""Speeds up the times of a playbook for demos, where no one waits half an hour for a reminder."""

from __future__ import annotations

import msgspec

from workers.core.playbook.campaigns import Campaign, RepeatView, Trigger
from workers.core.playbook.playbook import Playbook
from workers.core.playbook.policy import Cap

#: Upper limit of a trigger's delay [s]: otherwise a message days after an order would never be seen.
LONGEST_DELAY_S = 3600.0


def accelerate(playbook: Playbook, factor: float) -> Playbook:
    """Divides by `factor` all times that depend on customer behaviour: delays, windows, caps, times to live.

    Delays are first limited to LONGEST_DELAY_S, because no one watches a demo for days. Times that depend on machines stay:
    deadlines for copy (the LLM is no faster) and the age at which an occurrence is stale. Quiet hours are dropped: they follow
    the wall clock, which no factor changes, and would block all messages of a demo in the evening. A time to live is never
    shorter than two deadlines.
    """
    if factor == 1.0:
        return playbook
    replace = msgspec.structs.replace

    def faster_trigger(trigger: Trigger) -> Trigger:
        delay_s = min(trigger.delay_s, LONGEST_DELAY_S) / factor
        if isinstance(trigger, RepeatView):
            return replace(trigger, delay_s=delay_s, within_s=trigger.within_s / factor)
        return replace(trigger, delay_s=delay_s)

    def faster_campaign(campaign: Campaign) -> Campaign:
        ttl_s = max(campaign.ttl_s / factor, 2 * campaign.deadline_s)
        return replace(campaign, trigger=faster_trigger(campaign.trigger), ttl_s=ttl_s)

    def faster_cap(cap: Cap) -> Cap:
        return replace(cap, per_s=cap.per_s / factor)

    learning = playbook.policy.learning
    policy = replace(
        playbook.policy,
        caps=[faster_cap(cap) for cap in playbook.policy.caps],
        quiet_hours=None,
        learning=replace(
            learning,
            attribution_s=learning.attribution_s / factor,
            metrics_window_s=learning.metrics_window_s / factor,
        ),
    )
    campaigns = {name: faster_campaign(campaign) for name, campaign in playbook.campaigns.items()}
    return replace(playbook, policy=policy, campaigns=campaigns)
