"""Explains which feedback `learn` does not count, and why, for the trace of a decision."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.messages import Decision, Feedback, Outcome
from workers.core.attribution import attribution, joins, model, validation
from workers.core.errors import InvalidEvent
from workers.core.playbook.policy import Learning

#: Reason → description of why feedback does not count; the reasons are those of feedback.metrics and docs/learning.md.
DESCRIPTIONS = {
    "future": "its timestamp is in the future",
    "before_message": "its timestamp is before the message",
    "before_delivery": "its timestamp is before the delivery",
    "expired": "it came too late to count",
    "not_published": "the message was never published",
    "revenue_without_currency": "the amount has no currency",
    "bad_revenue": "the amount is invalid",
    "no_rating": "it has no rating",
    "bad_timestamp": "its timestamp is before 1970 or after 2100",
    "wrong_customer": "the message belongs to another customer",
    "unknown_message": "the message is unknown, or older than 28 days",
}
#: Opt-outs and bounces take effect whatever their timestamp.
_ALWAYS_APPLIED = frozenset({"unsubscribed", "complained", "bounced"})


def uncounted(
    decision: Decision,
    outcome: Outcome | None,
    feedback: list[Feedback],
    appended_at_s: Mapping[str, float],
    learning: Learning,
) -> dict[str, str]:
    """Returns event_id → reason, for the feedback on one message that does not count. `appended_at_s`: event_id → time at
    which Kafka appended the record.
    """
    if decision.reason not in model.EXPOSURES:
        return {}
    exposure = joins.exposure(decision, learning)
    exposure.outcome = outcome.reason if outcome is not None else ""
    refused: dict[str, str] = {}
    for number, item in enumerate(feedback):
        if item.status not in validation.STATUSES:
            continue
        try:
            exposure.facts[number] = validation.fact(item, appended_at_s.get(item.event_id))
        except InvalidEvent as error:
            refused[item.event_id] = error.reason
    return refused | {feedback[number].event_id: reason for number, reason in attribution.refusals(exposure).items()}


def note(feedback: Feedback, reason: str) -> str:
    """Returns the note on feedback that does not count, with the reason's name in the contract."""
    applied = ", but applied" if feedback.status in _ALWAYS_APPLIED else ""
    return f"; not counted{applied}: {DESCRIPTIONS.get(reason, reason)} ({reason})"
