"""Cancels published messages that became wrong before delivery: the product was bought, or consent was withdrawn.

A profile remembers its newest messages until they expire, or until feedback reports that they were delivered or given up. A
cancellation may reach a sender after delivery: its feedback then reports the delivery, and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from schemas.messages import Cancellation, Message, ProductFacts
from workers.core.common.timestamps import instant
from workers.core.decisioning.policy import is_reachable
from workers.core.playbook.playbook import Playbook
from workers.core.profile import consent
from workers.core.profile.model import MAX_PUBLISHED, OpenRequest, Profile, Published
from workers.core.profile.orders import bought_since
from workers.core.triggers.base import Objection
from workers.core.triggers.registry import Triggers


def remember(profile: Profile, opened: OpenRequest, message: Message, now_s: float) -> None:
    """Remembers a published message; drops expired ones, and the oldest beyond MAX_PUBLISHED."""
    kept = {known: one for known, one in profile.published.items() if one.expires_at > now_s}
    kept[message.message_id] = Published(
        campaign_id=opened.campaign_id,
        occurrence_id=opened.occurrence_id,
        trigger_key=opened.trigger_key,
        product_id=opened.product.product_id,
        channel=opened.channel,
        category=message.category,
        personalised=opened.personalised,
        requested_at=opened.requested_at,
        expires_at=opened.expires_at,
    )
    profile.published = dict(list(kept.items())[-MAX_PUBLISHED:])


def due(
    profile: Profile, playbook: Playbook, triggers: Triggers, now_s: float, presumed: Collection[str]
) -> Iterator[Cancellation]:
    """Yields a cancellation, once, for every message that must no longer be delivered; the message is then forgotten."""
    for message_id, one in list(profile.published.items()):
        if one.expires_at <= now_s:
            del profile.published[message_id]
        elif (wrong := _wrong(profile, one, playbook, triggers, now_s, presumed)) is not None:
            del profile.published[message_id]
            yield Cancellation(
                message_id=message_id,
                user_id=profile.customer_id,
                channel=one.channel,
                reason=wrong[0],
                cancelled_at=instant(now_s),
            )


def _wrong(
    profile: Profile, one: Published, playbook: Playbook, triggers: Triggers, now_s: float, presumed: Collection[str]
) -> Objection | None:
    campaign = playbook.campaigns.get(one.campaign_id)
    if campaign is not None:
        if (trigger_objection := triggers.objection(profile, campaign, _request(one))) is not None:
            return trigger_objection
    elif bought_since(profile, one.product_id, one.requested_at):  # without the campaign there is no trigger to check
        return "converted", "the product was bought meanwhile"
    if not is_reachable(profile, one.channel):
        return "missing_identifier", f"the address bounced on {one.channel}"
    if not consent.allows(profile, one.channel, one.category, presumed):
        return "consent", f"consent for {one.channel} was withdrawn"
    if one.personalised and not consent.may_personalise(profile, now_s):
        return "consent", "consent to personalisation was withdrawn"
    return None


def _request(one: Published) -> OpenRequest:
    """Returns the message as an OpenRequest, for the triggers."""
    return OpenRequest(
        decision_id="",
        campaign_id=one.campaign_id,
        occurrence_id=one.occurrence_id,
        channel=one.channel,
        trigger_key=one.trigger_key,
        locale="",
        language="",
        target_group="",
        product=ProductFacts(product_id=one.product_id),
        requested_at=one.requested_at,
        deadline_at=one.requested_at,
        expires_at=one.expires_at,
    )
