"""Builds the records of a message: the request for its text, the message for the sender, and the outcome."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from schemas.messages import (
    CallToAction,
    Message,
    MessageRequest,
    MessageText,
    Outcome,
    Provenance,
)
from workers.core.catalogue import links
from workers.core.common import ids
from workers.core.common.timestamps import instant
from workers.core.decisioning.policy import POLICY_VERSION
from workers.core.playbook import markets
from workers.core.playbook.campaigns import Campaign
from workers.core.playbook.channels import Channel
from workers.core.playbook.playbook import GENERIC_GROUP, Playbook
from workers.core.profile.model import OpenRequest, PendingText, Profile
from workers.core.publishing import provider_templates
from workers.core.text import length_limits
from workers.core.triggers.base import Objection

#: The target group of texts that use no customer data.
GENERIC = GENERIC_GROUP


def request(profile: Profile, opened: OpenRequest, campaign: Campaign, playbook: Playbook, salt: str) -> MessageRequest:
    """Returns the request to `generate`, with no more data than it needs to write the text."""
    prompt = playbook.prompts.get((opened.prompt, opened.language))  # None: no longer in the playbook
    return MessageRequest(
        message_id=opened.message_id,
        decision_id=opened.decision_id,
        user_id=profile.customer_id,
        customer_ref=ids.customer_ref(profile.customer_id, salt),
        campaign_id=campaign.id,
        channel=opened.channel,
        category=campaign.category,
        priority=campaign.priority,
        language=opened.language,
        locale=opened.locale,
        target_group=opened.target_group,
        prompt=opened.prompt,
        prompt_version=prompt.version if prompt is not None else "",
        template=campaign.prompt,
        product=opened.product,
        variation_id=opened.variation_id,
        experiment_id=opened.experiment_id,
        tone=opened.tone,
        sketches=profile.sketches,
        ghost=opened.is_ghost,
        requested_at=instant(opened.requested_at),
        deadline_at=instant(opened.deadline_at),
        playbook_version=playbook.version,
    )


def message(
    profile: Profile,
    opened: OpenRequest,
    held: PendingText,
    playbook: Playbook,
    now_s: float,
) -> Message | Objection:
    """Returns the record for the sender, or the reason why there is none.

    Where the channel sends a provider's templates, a generated text is never sent with them.
    """
    text, candidate, template_version = held.text, held.candidate, held.template_version
    filled = provider_templates.fill(playbook, opened)
    if isinstance(filled, tuple):
        return filled
    if filled is not None:
        text, candidate, template_version = MessageText(), None, filled.template_id
    elif not text.body:
        return "stale", "the playbook no longer has copy for this channel and language"
    campaign = playbook.campaigns[opened.campaign_id]
    channel = playbook.channels[opened.channel]
    product = links.trusted(opened.product, playbook)
    generated_by = candidate.generated_by if candidate else "template"
    by_machine = generated_by != "template"
    made = Message(
        message_id=opened.message_id,
        idempotency_key=opened.message_id,
        user_id=profile.customer_id,
        channel=opened.channel,
        category=campaign.category,
        priority=campaign.priority,
        campaign_id=campaign.id,
        campaign_name=campaign.name.get(opened.language, ""),
        variation_id=opened.variation_id,
        experiment_id=opened.experiment_id,
        target_group=opened.target_group,
        product_id=opened.product.product_id,
        locale=opened.locale,
        title=text.title,
        email_subject=text.email_subject,
        preheader=text.preheader,
        body=length_limits.suffixed(channel, opened.language, text.body),
        image_url=product.image_url,
        cta=CallToAction(
            text="" if filled else text.cta_text or campaign.cta.get(opened.language, ""),
            link_url=tracked_url(product.url, opened.channel, campaign.id, opened.message_id),
        ),
        send_at=instant(now_s),
        expires_at=instant(opened.expires_at),
        list_id=channel.list_id,
        unsubscribe_url=channel.unsubscribe_url,
        provider_template_id=filled.template_id if filled else None,
        params=filled.params if filled else {},
        ai_generated=by_machine,
        ai_label=markets.ai_label(playbook.policy, opened.language, opened.locale) if by_machine else "",
        provenance=Provenance(
            decision_id=opened.decision_id,
            propensity=opened.propensity,
            policy_version=POLICY_VERSION,
            playbook_version=playbook.version,
            prompt_version=candidate.prompt_version if candidate else template_version,
            profile_version=profile.version,
            model=candidate.usage.model if candidate else "",
            adapter=candidate.usage.adapter if candidate else "",
            source_event=opened.source,
            verdicts=candidate.verdicts if candidate else [],
            generated_by=generated_by,
            reviewed=held.reviewed,
        ),
    )
    return _oversized(made, channel, opened.language) or made


def outcome(
    profile: Profile,
    opened: OpenRequest,
    objection: Objection | None,
    published: Message | None,
    now_s: float,
) -> Outcome:
    """Returns the outcome of a request: `published`, or the reason why it was not."""
    return Outcome(
        message_id=opened.message_id,
        decision_id=opened.decision_id,
        user_id=profile.customer_id,
        campaign_id=opened.campaign_id,
        channel=opened.channel,
        reason=objection[0] if objection else "published",
        detail=objection[1] if objection else "",
        generated_by=published.provenance.generated_by if published else None,
        locale=opened.locale,
        target_group=opened.target_group,
        product_id=opened.product.product_id,
        variation_id=opened.variation_id,
        requested_at=instant(opened.requested_at),
        ended_at=instant(now_s),
    )


def tracked_url(url: str, channel: str, campaign_id: str, message_id: str) -> str:
    """Returns the product's link with utm_* and the message id; "" stays "", and an invalid URL becomes "".

    >>> tracked_url("https://shop.example/p?a=1", "push", "cart", "m")
    'https://shop.example/p?a=1&utm_source=attune&utm_medium=push&utm_campaign=cart&message_id=m'
    """
    if not url:
        return ""
    try:
        parts = urlsplit(url)
    except ValueError:  # the URL comes from a shop's event and may be anything
        return ""
    query = [
        *parse_qsl(parts.query, keep_blank_values=True),
        ("utm_source", "attune"),
        ("utm_medium", channel),
        ("utm_campaign", campaign_id),
        ("message_id", message_id),
    ]
    return urlunsplit(parts._replace(query=urlencode(query)))


def _oversized(message: Message, channel: Channel, language: str) -> Objection | None:
    """Returns the reason why a vendor would reject the finished message; None = it fits. Links in events may be long."""
    shown = {
        "title": message.title,
        "body": message.body,
        "image_url": message.image_url,
        "cta_text": message.cta.text,
        "link_url": message.cta.link_url,
        "ai_label": message.ai_label,
    }
    wrong = length_limits.payload_wrong(channel, language, shown)
    return ("guardrail", wrong) if wrong else None
