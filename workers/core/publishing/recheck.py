"""Rechecks a requested message right before publication."""

from __future__ import annotations

from collections.abc import Collection

from workers.core.decisioning.control_state import ControlState, paused_by
from workers.core.decisioning.policy import is_reachable, outside_rollout
from workers.core.playbook.playbook import Playbook
from workers.core.profile import consent
from workers.core.profile.model import OpenRequest, Profile
from workers.core.triggers.base import Objection
from workers.core.triggers.registry import Triggers


def objection(
    profile: Profile,
    opened: OpenRequest,
    playbook: Playbook,
    triggers: Triggers,
    control: ControlState,
    now_s: float,
    presumed: Collection[str] = (),
    seed: str = "",
) -> Objection | None:
    """Returns why a requested message must not be published now, by the newest profile and playbook; None = it may.

    `seed` decides who is in a partial rollout, as at the decision. A message that was never to be sent (shadow, holdout) gives
    that reason before the rollout's.
    """
    campaign = playbook.campaigns.get(opened.campaign_id)
    if campaign is None or opened.channel not in playbook.channels:
        return "stale", "its campaign or channel is no longer in the playbook"
    if opened.language not in playbook.languages:  # no label and no template would be in it
        return "stale", "its language is no longer in the playbook"
    trigger_objection = triggers.objection(profile, campaign, opened)
    if trigger_objection is not None:
        return trigger_objection
    if (scope := paused_by(control, opened.campaign_id, opened.channel)) is not None:
        return "paused", f"{scope} is paused"
    if not is_reachable(profile, opened.channel):
        return "missing_identifier", f"the address bounced on {opened.channel} meanwhile"
    if not consent.allows(profile, opened.channel, campaign.category, presumed):
        return "consent", f"consent for {opened.channel} was withdrawn meanwhile"
    if opened.personalised and not consent.may_personalise(profile, now_s):
        return "consent", "consent to personalisation was withdrawn meanwhile"
    if now_s >= opened.expires_at:
        return "expired", "the text came too late"
    if opened.shadow or campaign.mode == "shadow":
        return "shadow", "the campaign is in shadow mode: nothing is sent"
    if opened.held_out:
        return "holdout", "the customer is in the control group: the text was generated for comparison only"
    if (outside := outside_rollout(profile, playbook, campaign, seed)) is not None:
        return "not_in_rollout", f"{outside} meanwhile"
    return None
