"""Explains which feedback `learn` does not count, and why, for the trace of a decision."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.messages import Decision, Feedback, Outcome
from workers.core.attribution import attribution, joins, model, validation
from workers.core.errors import InvalidEvent
from workers.core.playbook.policy import Learning

#: Reason → description of why feedback does not count; the reasons are those of feedback.metrics and docs/learning.md.
WORDS = {
    "future": "its time lies in the future",
    "before_message": "its time lies before the message",
    "before_delivery": "its time lies before the delivery",
    "expired": "it came too late to count",
    "not_published": "the message never left",
    "revenue_without_currency": "the amount has no currency",
    "bad_revenue": "no order has such an amount",
    "no_rating": "there is no rating in it",
    "bad_timestamp": "its time is before 1970 or after 2100",
    "wrong_customer": "the message was somebody else's",
    "unknown_message": "nobody knows the message, or it is older than 28 days",
}
#: Opt-outs and bounces take effect whatever their timestamp.
_HEARD = frozenset({"unsubscribed", "complained", "bounced"})


def refused(
    decision: Decision,
    outcome: Outcome | None,
    feedback: list[Feedback],
    appended_at_s: Mapping[str, float],
    learning: Learning,
) -> dict[str, str]:
    """Returns event_id → why it does not count, for one message. `appended_at_s`: event_id → when Kafka appended the record."""
    if decision.reason not in model.EXPOSURES:
        return {}
    exposure = joins.exposure(decision, learning)
    exposure.outcome = outcome.reason if outcome is not None else ""
    found: dict[str, str] = {}
    for number, back in enumerate(feedback):
        if back.status not in validation.STATUSES:
            continue
        try:
            exposure.facts[number] = validation.fact(back, appended_at_s.get(back.event_id))
        except InvalidEvent as error:
            found[back.event_id] = error.reason
    return found | {feedback[number].event_id: reason for number, reason in attribution.refusals(exposure).items()}


def words(back: Feedback, reason: str) -> str:
    """Returns the note on feedback that does not count, with the reason's name in the contract."""
    heard = ", but it is honoured" if back.status in _HEARD else ""
    return f"; it is not counted{heard}: {WORDS.get(reason, reason)} ({reason})"
