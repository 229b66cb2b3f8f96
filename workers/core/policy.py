"""Policy: whether a trigger occurrence becomes a message, on which channel, and the reason for every no.

The checks run in a fixed order and each leaves a line for the ledger: identifiers, consent, caps.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from schemas.base import AbortType
from schemas.messages import PolicyCheck
from workers.core import consent
from workers.core.playbook import Campaign, Cap, Playbook
from workers.core.profile import Profile, Send

#: Changes whenever the same inputs would be decided otherwise; stamped on every decision.
POLICY_VERSION = "1"


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """What the policy says: a channel, or the reason why not; and the checks in their order."""

    channel: str | None
    reason: AbortType | None
    checks: list[PolicyCheck]


def rule(
    profile: Profile, campaign: Campaign, playbook: Playbook, now_s: float, presumed: Collection[str] = ()
) -> Ruling:
    """Applies the policy to one occurrence. Pure: the caller reserves and records. `presumed`: see consent.allows."""
    checks: list[PolicyCheck] = []
    if profile.user_id is None:
        checks.append(PolicyCheck(name="identifiers", passed=False, detail="the customer is anonymous"))
        return Ruling(channel=None, reason="missing_identifier", checks=checks)
    checks.append(PolicyCheck(name="identifiers", passed=True))
    allowed = [
        channel for channel in campaign.channels if consent.allows(profile, channel, campaign.category, presumed)
    ]
    if not allowed:
        detail = f"no {campaign.category} consent for {' or '.join(campaign.channels)}"
        checks.append(PolicyCheck(name="consent", passed=False, detail=detail))
        return Ruling(channel=None, reason="consent", checks=checks)
    checks.append(PolicyCheck(name="consent", passed=True, detail=", ".join(allowed)))
    full: Cap | None = None
    for channel in allowed:
        full = exceeded_cap(profile.sends, playbook.policy.caps, channel, campaign.category, now_s)
        if full is None:
            checks.append(PolicyCheck(name="caps", passed=True))
            return Ruling(channel=channel, reason=None, checks=checks)
    detail = _described(full) if full is not None else ""
    checks.append(PolicyCheck(name="caps", passed=False, detail=detail))
    return Ruling(channel=None, reason="frequency_capped", checks=checks)


def _described(cap: Cap) -> str:
    return f"{cap.messages} {cap.category} messages in {cap.per_s / 86_400:g} days are sent or reserved"


def exceeded_cap(sends: list[Send], caps: list[Cap], channel: str, category: str, now_s: float) -> Cap | None:
    """The first cap that one more message would break; reservations count like sent messages."""
    for cap in caps:
        if cap.category != category or cap.channel not in (None, channel):
            continue
        counted = sum(
            send.category == category and cap.channel in (None, send.channel) and send.at > now_s - cap.per_s
            for send in sends
        )
        if counted >= cap.messages:
            return cap
    return None


def forget_old_sends(sends: list[Send], caps: list[Cap], now_s: float) -> list[Send]:
    """Drops what no cap can count any more."""
    window = max((cap.per_s for cap in caps), default=0.0)
    return [send for send in sends if send.at > now_s - window]
