"""Checks campaigns.yaml: references, rollout, and the arms of each campaign."""

from __future__ import annotations

from itertools import product

import msgspec

from workers.adapters.playbook.checks.findings import reference, texts, unique
from workers.adapters.playbook.documents.parts import Parts
from workers.adapters.playbook.documents.yaml_documents import Document, FieldPath
from workers.core.experimentation.arms import NO_SEND
from workers.core.playbook.campaigns import Campaign, CrossSell
from workers.core.triggers import registry

_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(Campaign)}


def check(parts: Parts) -> None:
    """Reports into `parts.problems`."""
    if parts.campaigns is None:
        return
    document = parts.documents["campaigns.yaml"]
    campaigns, tones = parts.campaigns.campaigns, parts.campaigns.tones
    unique(document, ("campaigns",), [campaign.id for campaign in campaigns], "id", "id")
    unique(document, ("tones",), [tone.id for tone in tones], "id", "id")
    for index, tone in enumerate(tones):
        texts(document, ("tones", index, "hint"), tone.hint, parts.languages, required=True)
    for index, campaign in enumerate(campaigns):
        path: FieldPath = ("campaigns", index)
        _copy(parts, document, path, campaign)
        _channels(parts, document, path, campaign)
        _arms(parts, document, path, campaign)
        _release(parts, document, path, campaign)
        _strategy(document, path, campaign)
        if campaign.category != "marketing":
            document.report(
                (*path, "category"),
                f"`{campaign.category}` does not fit the trigger `{registry.name(campaign.trigger)}`: consent, quiet hours, "
                "caps, control group and unsubscribe link would not apply",
                "marketing, or omit the field",
            )
        if campaign.ttl_s <= campaign.deadline_s:
            document.report(
                (*path, "ttl_s"),
                f"{campaign.ttl_s:g} is not longer than the deadline",
                f"more than {campaign.deadline_s:g}",
            )
        if isinstance(campaign.trigger, CrossSell):
            at = (*path, "trigger", "offer")
            if not campaign.trigger.offer:
                document.report(at, "is empty", "accessories, viewed")
            unique(document, at, campaign.trigger.offer, "offer")


def prompts_of(campaign: Campaign) -> list[str]:
    """Returns every prompt that a campaign may use, each once."""
    return list(dict.fromkeys([campaign.prompt, *(variant.prompt for variant in campaign.variants)]))


def _copy(parts: Parts, document: Document, path: FieldPath, campaign: Campaign) -> None:
    for field in ("name", "goal"):
        texts(document, (*path, field), getattr(campaign, field), parts.languages, required=True)
    texts(document, (*path, "cta"), campaign.cta, parts.languages, required=False)
    if campaign.channels and all(parts.is_templated(*way) for way in product(campaign.channels, parts.languages)):
        return  # no text is generated: its prompt names have no effect
    prompts = sorted({file.prompt.id for file in parts.prompts})
    reference(document, (*path, "prompt"), "prompt", campaign.prompt, prompts)
    for index, variant in enumerate(campaign.variants):
        reference(document, (*path, "variants", index, "prompt"), "prompt", variant.prompt, prompts)


def _channels(parts: Parts, document: Document, path: FieldPath, campaign: Campaign) -> None:
    if not campaign.channels:
        document.report((*path, "channels"), "is empty", "at least one channel")
    unique(document, (*path, "channels"), campaign.channels, "channel")
    if parts.channels is not None:
        known = [channel.id for channel in parts.channels.channels]
        for index, channel in enumerate(campaign.channels):
            reference(document, (*path, "channels", index), "channel", channel, known)


def _arms(parts: Parts, document: Document, path: FieldPath, campaign: Campaign) -> None:
    """Checks the arms. IDs cannot contain a dot, so that `<variant>.<tone>` names one arm."""
    unique(document, (*path, "variants"), [variant.id for variant in campaign.variants], "id", "id")
    for index, variant in enumerate(campaign.variants):
        if variant.id == NO_SEND:
            document.report(
                (*path, "variants", index, "id"),
                f"`{NO_SEND}` is reserved for the arm that sends nothing",
                "another id",
            )
    unique(document, (*path, "tones"), campaign.tones, "tone")
    known = [tone.id for tone in parts.campaigns.tones] if parts.campaigns else []
    for index, tone in enumerate(campaign.tones):
        reference(document, (*path, "tones", index), "tone", tone, known)


def _release(parts: Parts, document: Document, path: FieldPath, campaign: Campaign) -> None:
    if campaign.mode == "ramp" and campaign.ramp_percent == 0:
        document.report((*path, "ramp_percent"), "is 0, and the mode is `ramp`", "above 0 and at most 100")
    if campaign.mode != "ramp" and campaign.ramp_percent > 0:
        document.report((*path, "ramp_percent"), f"has no effect in mode `{campaign.mode}`", "only with mode: ramp")
    if campaign.mode == "allowlist" and parts.policy is not None and not parts.policy.allowlist:
        document.report((*path, "mode"), "`allowlist` is empty in policy.yaml", "user_ids in its `allowlist`")


def _strategy(document: Document, path: FieldPath, campaign: Campaign) -> None:
    for field in ("pool_miss", "pool_wear"):
        if campaign.strategy != "pooled" and getattr(campaign, field) != _DEFAULTS[field]:
            document.report((*path, field), f"has no effect with strategy `{campaign.strategy}`", "strategy: pooled")
