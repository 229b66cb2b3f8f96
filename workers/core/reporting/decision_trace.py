"""Traces a decision in chronological order, from event to response, or explains why nothing was sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import msgspec

from schemas.base import Instant
from schemas.messages import (
    Cancellation,
    Candidate,
    Decision,
    Feedback,
    Message,
    MessageRequest,
    MessageText,
    Outcome,
    PolicyCheck,
    Review,
    ReviewVerdict,
)
from workers.core.common import timestamps
from workers.core.personalisation.pending import Pending
from workers.core.playbook.policy import Learning
from workers.core.reporting import feedback_trace, labels

_NEVER = datetime.max.replace(tzinfo=UTC)

#: Topics that a trace reads, by logical name, in addition to messages.*.
TOPICS = (
    "message.decisions",
    "message.requests",
    "message.candidates",
    "message.reviews",
    "message.verdicts",
    "message.outcomes",
    "message.cancellations",
    "message.feedback",
)


class DecisionTrace(msgspec.Struct):
    """All records of one trigger occurrence; parts that do not exist are None or empty.

    `pending`: what it is waiting for now; `decision` is None until the occurrence is decided. `not_counted`: feedback that does
    not count, event_id → reason.
    """

    decision: Decision | None = None
    request: MessageRequest | None = None
    candidates: list[Candidate] = []
    review: Review | None = None
    verdicts: list[ReviewVerdict] = []
    outcome: Outcome | None = None
    message: Message | None = None
    cancellation: Cancellation | None = None
    feedback: list[Feedback] = []
    pending: Pending | None = None
    not_counted: dict[str, str] = {}


def build_traces(records: Iterable[object], waiting: Iterable[Pending] = ()) -> list[DecisionTrace]:
    """Joins decoded records, given in any order, into traces, oldest occurrence first; feedback by its own time, each once.

    Each item of `waiting` is added to the trace of its message, or starts a trace of its own after the others.
    """
    records = list(records)
    by_decision: dict[str, DecisionTrace] = {}
    by_message: dict[str, DecisionTrace] = {}
    for record in records:
        if isinstance(record, Decision):
            trace = by_decision[record.decision_id] = DecisionTrace(record)
            if record.message_id:
                by_message[record.message_id] = trace
    for record in records:
        of_message = by_message.get(getattr(record, "message_id", None) or "")
        if of_message is None:
            continue
        match record:
            case MessageRequest():
                of_message.request = record
            case Candidate():
                of_message.candidates.append(record)
            case Review():
                of_message.review = record
            case ReviewVerdict() if all(other.verdict_id != record.verdict_id for other in of_message.verdicts):
                of_message.verdicts.append(record)
            case Outcome():
                of_message.outcome = record
            case Message():
                of_message.message = record
            case Cancellation():
                of_message.cancellation = record
            case Feedback() if all(other.event_id != record.event_id for other in of_message.feedback):
                of_message.feedback.append(record)
            case _:
                pass
    for trace in by_message.values():
        trace.feedback.sort(key=lambda feedback: feedback.timestamp)
        trace.verdicts.sort(key=lambda verdict: verdict.decided_at)
    decided = sorted(by_decision.values(), key=lambda trace: trace.decision.decided_at if trace.decision else _NEVER)
    undecided = []
    for pending in waiting:
        if pending.message_id is None:
            undecided.append(DecisionTrace(pending=pending))
        elif pending.message_id in by_message:
            by_message[pending.message_id].pending = pending
    return [*decided, *undecided]


def mark_uncounted(traces: Iterable[DecisionTrace], appended_at_s: Mapping[str, float], learning: Learning) -> None:
    """Notes in each trace which feedback does not count; the arguments are those of feedback_trace.uncounted."""
    for trace in traces:
        if trace.decision is not None and trace.feedback:
            trace.not_counted = feedback_trace.uncounted(
                trace.decision, trace.outcome, trace.feedback, appended_at_s, learning
            )


def unmatched_feedback(records: Iterable[object], traces: Iterable[DecisionTrace]) -> list[str]:
    """Returns a line for each feedback on a message without a trace: it does not count."""
    traced = {trace.decision.message_id for trace in traces if trace.decision is not None}
    unmatched = {
        record.event_id: record
        for record in records
        if isinstance(record, Feedback) and record.message_id not in traced
    }
    return [
        f"{timestamps.utc(feedback.timestamp)} feedback on message {feedback.message_id}: {labels.feedback(feedback)}"
        + feedback_trace.note(feedback, "unknown_message")
        for feedback in sorted(unmatched.values(), key=lambda feedback: feedback.timestamp)
    ]


def describe(trace: DecisionTrace, now: Instant | None = None) -> list[str]:
    """Returns the trace as sentences, one per line, in terms that a marketer knows.

    `now` is needed to show what is overdue.
    """
    decision = trace.decision
    if decision is None:
        return _undecided(trace.pending, now) if trace.pending is not None else []
    lines = [f"{timestamps.utc(decision.decided_at)} {decision.campaign_id}: {labels.trigger(decision.trigger)}"]
    if decision.source_event is not None:
        source = decision.source_event
        lines.append(f"  triggered by {source.topic} partition {source.partition} offset {source.offset}")
    product = f", product {decision.product_id}" if decision.product_id else ""
    lines.append(f"  customer {decision.user_id}: target group {decision.target_group}, {decision.locale}{product}")
    lines.extend(f"  {_check(check)}" for check in decision.checks)
    if len(decision.propensities) > 1:
        lines.append(f"  {_choice(decision)}")
    lines.append(f"  decided: {labels.reason(decision.reason)}")
    for candidate in trace.candidates:
        lines.extend(f"  {line}" for line in _candidate(candidate))
    lines.extend(f"  {line}" for line in _review(trace))
    if trace.outcome is not None:
        detail = f": {trace.outcome.detail}" if trace.outcome.detail else ""
        lines.append(f"  ended: {labels.reason(trace.outcome.reason)}{detail}")
    elif trace.pending is not None:
        lines.append(f"  still open: {_waits(trace.pending, now)}")
    elif decision.message_id is not None:
        awaited = "a reviewer's verdict" if trace.review is not None else "its text"
        lines.append(f"  still open: waits for {awaited}")
    lines.extend(f"  {line}" for line in _message(trace))
    return lines


def _undecided(pending: Pending, now: Instant | None) -> list[str]:
    """Describes an occurrence that is not decided yet."""
    trigger = f"{labels.trigger(pending.trigger)} " if pending.trigger else ""
    lines = [f"not decided yet, {pending.campaign_id}: {trigger}({pending.key})", f"  {_waits(pending, now)}"]
    if pending.idle:
        lines.append("  at present no message would follow: not all conditions of the campaign are met")
    return lines


def _waits(pending: Pending, now: Instant | None) -> str:
    """Describes what is being waited for, until when, and what happens then."""
    until = timestamps.local(pending.until, pending.timezone)
    if now is not None and pending.until < now:
        return f"due since {until}: `personalise` is not running, or is still reading older events ({pending.reason})"
    return f"waits until {until} {labels.PENDING[pending.reason]} ({pending.reason})"


def _check(check: PolicyCheck) -> str:
    question = labels.CHECKS.get(check.name)
    rest = " ".join(filter(None, (question, check.detail)))
    return f"{'pass' if check.passed else 'FAIL'} {check.name}{': ' + rest if rest else ''}"


def _choice(decision: Decision) -> str:
    """Describes which arm was drawn (for the control group: would have been drawn), and the alternatives, most likely first."""
    chosen = decision.variation_id or ""
    others = sorted((-chance, arm) for arm, chance in decision.propensities.items() if arm != chosen and chance > 0)
    experiment = f" in experiment {decision.experiment_id}" if decision.experiment_id else ""
    learnt = f" by policy snapshot {decision.snapshot_version}" if decision.snapshot_version else ", nothing learnt yet"
    drawn = "would have been chosen" if decision.reason == "holdout" else "chosen"
    line = f"{drawn}{experiment}{learnt}: {labels.arm(chosen)} {labels.percent(decision.propensity)}"
    rest = ", ".join(f"{labels.arm(arm)} {labels.percent(-chance)}" for chance, arm in others)
    return f"{line}; alternatives: {rest}" if rest else line


def _candidate(candidate: Candidate) -> list[str]:
    model = f" {candidate.usage.model}, {candidate.usage.calls} call(s)" if candidate.usage.calls else ""
    entry = f" (entry {candidate.pool_entry_id})" if candidate.pool_entry_id else ""
    lines = [f"text by {candidate.generated_by}{entry}{model}, prompt {candidate.prompt_version}"]
    if candidate.failure:
        lines.append(f"the LLM's text was not used: {candidate.failure}")
    lines.extend(
        f"  {verdict.name}: {verdict.detail or 'rejected'}" for verdict in candidate.verdicts if not verdict.passed
    )
    return lines


def _review(trace: DecisionTrace) -> list[str]:
    """Describes why a review was requested, and its verdicts."""
    if trace.review is None:
        return []
    review = trace.review
    lines = [f"review requested, open until {timestamps.utc(review.timeout_at)}: {review.why}"]
    lines.extend(f"{timestamps.utc(verdict.decided_at)} {labels.verdict(verdict)}" for verdict in trace.verdicts)
    return lines


def _message(trace: DecisionTrace) -> list[str]:
    """Describes the text, its delivery, and the customer's response."""
    message = trace.message
    if message is None:
        texts = [text for candidate in trace.candidates if (text := _joined(candidate.text))]
        ended = trace.outcome is not None and trace.outcome.reason != "published"
        unsent = [f"text that was not sent: {text}" for text in texts[-1:]] if ended else []
        return [*unsent, *_feedback(trace)]
    lines = [f"{message.channel} message {message.message_id}: {_joined(message)}"]
    if trace.cancellation is not None:
        cancelled = trace.cancellation
        lines.append(f"cancelled {timestamps.utc(cancelled.cancelled_at)}: {labels.reason(cancelled.reason)}")
    return [*lines, *(_feedback(trace) or ["no feedback from the sender so far"])]


def _feedback(trace: DecisionTrace) -> list[str]:
    """Describes the feedback received, and which of it does not count."""
    lines = []
    for feedback in trace.feedback:
        reason = trace.not_counted.get(feedback.event_id)
        not_counted = feedback_trace.note(feedback, reason) if reason else ""
        lines.append(f"feedback {timestamps.utc(feedback.timestamp)}: {labels.feedback(feedback)}{not_counted}")
    return lines


def _joined(text: Message | MessageText) -> str:
    return " / ".join(filter(None, [text.title, text.email_subject, text.preheader, text.body]))
