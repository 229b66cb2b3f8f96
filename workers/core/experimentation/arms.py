"""Lists the arms of a campaign, among which the system learns to choose."""

from __future__ import annotations

import msgspec

from workers.core.playbook.campaigns import Campaign

#: The arm that sends nothing.
NO_SEND = "no-send"
_ONLY = "base"


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """One way to write a message. `id` is `<variant>.<tone>`, or `<variant>` without tones; `tone` None = there are none."""

    id: str
    prompt: str
    tone: str | None = None


def sending(campaign: Campaign) -> dict[str, Arm]:
    """Returns every variant in every tone, by id; a campaign without either has one arm with the id `base`."""
    variants = [(variant.id, variant.prompt) for variant in campaign.variants] or [(_ONLY, campaign.prompt)]
    tones: list[str | None] = [*campaign.tones] or [None]
    arms = [
        Arm(id=variant if tone is None else f"{variant}.{tone}", prompt=prompt, tone=tone)
        for variant, prompt in variants
        for tone in tones
    ]
    return {arm.id: arm for arm in arms}


def names(campaign: Campaign) -> list[str]:
    """Returns the ids of all arms, including the one that sends nothing where the campaign allows it."""
    return [*sending(campaign), *([NO_SEND] if campaign.no_send else [])]
