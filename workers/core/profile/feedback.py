"""Applies feedback to a profile: opt-outs, hard bounces, undelivered messages."""

from __future__ import annotations

import msgspec

from schemas.messages import Feedback, FeedbackStatus
from workers.core.playbook.playbook import Playbook
from workers.core.profile import consent
from workers.core.profile.model import ConsentChange, Profile

#: Statuses that opt the customer out.
REFUSALS = frozenset({"unsubscribed", "complained"})
#: Statuses of a message that did not reach the customer and does not count against the caps.
_NOT_DELIVERED = frozenset({"bounced", "dropped", "failed", "skipped"})
#: Statuses after which the sender makes no further delivery attempt.
SETTLED: frozenset[FeedbackStatus] = frozenset(
    {"sent", "delivered", "opened", "clicked", "replied", "bounced", "complained", "dropped", "failed", "skipped"}
)


class FeedbackEffect(msgspec.Struct):
    """The changes to which the caller must react."""

    consent: list[ConsentChange] = []
    changed: bool = False


def apply_feedback(profile: Profile, feedback: Feedback, playbook: Playbook, now_s: float) -> FeedbackEffect:
    """Applies one record of message.feedback; a duplicate has no effect. An opt-out counts whichever message it refers to.

    An opt-out from the future, or from a clock that was never set, counts from `now_s`, so that a later opt-in can replace it.
    """
    effect = FeedbackEffect()
    stated_s = feedback.timestamp.timestamp()
    at_s = min(stated_s, now_s) if stated_s >= consent.CLOCK_NEVER_SET_S else now_s
    when = consent.StatementTime(stated_s, now_s, now_s)
    channels = _channels(profile, feedback, playbook)
    if feedback.status in REFUSALS:
        channel = "" if feedback.status == "complained" or not channels else channels[0]
        for key in dict.fromkeys(consent.refusal(channel, profile.consent, playbook.channels)):
            known = profile.consent.get(key)
            change = ConsentChange(key, False, when.at_s, f"feedback:{feedback.status}")
            change = consent.dated(change, known, when)
            if known is not None and not known.granted and known.captured_at >= change.captured_at:
                continue
            if consent.apply(profile, change):
                effect.consent.append(change)
    if feedback.status == "bounced" and feedback.bounce_type == "hard":
        for channel in channels:
            if at_s > profile.unreachable.get(channel, 0.0):
                profile.unreachable[channel] = at_s
                effect.changed = True
    if feedback.status in _NOT_DELIVERED:
        kept = [send for send in profile.sends if send.message_id != feedback.message_id]
        effect.changed |= len(kept) < len(profile.sends)
        profile.sends = kept
    effect.changed |= settle(profile, feedback.message_id, feedback.status)
    effect.changed |= bool(effect.consent)
    return effect


def _channels(profile: Profile, feedback: Feedback, playbook: Playbook) -> list[str]:
    """Returns the channel that a record is about: the one it names, else that of its message if the profile still has it."""
    channel = consent.channel_of(feedback.channel, playbook.channels)
    if channel is not None:
        return [channel]
    return [send.channel for send in profile.sends if send.message_id == feedback.message_id][:1]


def settle(profile: Profile, message_id: str, status: str) -> bool:
    """Drops a published message whose sender has reported a final status; returns whether it was stored."""
    return status in SETTLED and profile.published.pop(message_id, None) is not None
