"""Traces a decision in chronological order, from the event over the text to the customer's response, or explains the silence."""

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
from workers.core.reporting import feedback_trace
from workers.core.reporting import labels as words

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

    `pending`: what it waits for now; `decision` is None until the occurrence is decided. `not_counted`: feedback that does not
    count, event_id → reason.
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
            story = by_decision[record.decision_id] = DecisionTrace(record)
            if record.message_id:
                by_message[record.message_id] = story
    for record in records:
        found = by_message.get(getattr(record, "message_id", None) or "")
        if found is None:
            continue
        match record:
            case MessageRequest():
                found.request = record
            case Candidate():
                found.candidates.append(record)
            case Review():
                found.review = record
            case ReviewVerdict() if all(known.verdict_id != record.verdict_id for known in found.verdicts):
                found.verdicts.append(record)
            case Outcome():
                found.outcome = record
            case Message():
                found.message = record
            case Cancellation():
                found.cancellation = record
            case Feedback() if all(known.event_id != record.event_id for known in found.feedback):
                found.feedback.append(record)
            case _:
                pass
    for story in by_message.values():
        story.feedback.sort(key=lambda back: back.timestamp)
        story.verdicts.sort(key=lambda verdict: verdict.decided_at)
    told = sorted(by_decision.values(), key=lambda story: story.decision.decided_at if story.decision else _NEVER)
    undecided = []
    for one in waiting:
        if one.message_id is None:
            undecided.append(DecisionTrace(pending=one))
        elif one.message_id in by_message:
            by_message[one.message_id].pending = one
    return [*told, *undecided]


def judge(told: Iterable[DecisionTrace], appended_at_s: Mapping[str, float], learning: Learning) -> None:
    """Notes in each trace which feedback does not count; the arguments are those of feedback_trace.refused."""
    for story in told:
        if story.decision is not None and story.feedback:
            known = story.decision, story.outcome, story.feedback
            story.not_counted = feedback_trace.refused(*known, appended_at_s, learning)


def strays(records: Iterable[object], told: Iterable[DecisionTrace]) -> list[str]:
    """Returns a line for each feedback on a message without a trace: it does not count."""
    known = {story.decision.message_id for story in told if story.decision is not None}
    foreign = {one.event_id: one for one in records if isinstance(one, Feedback) and one.message_id not in known}
    return [
        f"{timestamps.utc(back.timestamp)} feedback about message {back.message_id}: {words.feedback(back)}"
        + feedback_trace.words(back, "unknown_message")
        for back in sorted(foreign.values(), key=lambda one: one.timestamp)
    ]


def describe(story: DecisionTrace, now: Instant | None = None) -> list[str]:
    """Returns the trace as sentences, one per line, in terms that a marketer knows.

    `now` is needed to show what is overdue.
    """
    decision = story.decision
    if decision is None:
        return _undecided(story.pending, now) if story.pending is not None else []
    lines = [f"{timestamps.utc(decision.decided_at)} {decision.campaign_id}: {words.trigger(decision.trigger)}"]
    if decision.source_event is not None:
        source = decision.source_event
        lines.append(f"  began with {source.topic} partition {source.partition} offset {source.offset}")
    product = f", product {decision.product_id}" if decision.product_id else ""
    lines.append(f"  customer {decision.user_id}: target group {decision.target_group}, {decision.locale}{product}")
    lines.extend(f"  {_check(check)}" for check in decision.checks)
    if len(decision.propensities) > 1:
        lines.append(f"  {_choice(decision)}")
    lines.append(f"  decided: {words.reason(decision.reason)}")
    for candidate in story.candidates:
        lines.extend(f"  {line}" for line in _candidate(candidate))
    lines.extend(f"  {line}" for line in _reviewed(story))
    if story.outcome is not None:
        detail = f": {story.outcome.detail}" if story.outcome.detail else ""
        lines.append(f"  ended: {words.reason(story.outcome.reason)}{detail}")
    elif story.pending is not None:
        lines.append(f"  not ended yet: {_waits(story.pending, now)}")
    elif decision.message_id is not None:
        awaited = "a person's verdict is" if story.review is not None else "the words are"
        lines.append(f"  not ended yet: {awaited} awaited")
    lines.extend(f"  {line}" for line in _heard(story))
    return lines


def _undecided(pending: Pending, now: Instant | None) -> list[str]:
    """Describes an occurrence that waits to be decided."""
    what = f"{words.trigger(pending.trigger)} " if pending.trigger else ""
    lines = [f"not decided yet, {pending.campaign_id}: {what}({pending.key})", f"  {_waits(pending, now)}"]
    if pending.idle:
        lines.append("  as things stand nothing comes of it: not all conditions of the campaign hold")
    return lines


def _waits(pending: Pending, now: Instant | None) -> str:
    """Describes until when something waits, for what, and what happens then."""
    until = timestamps.local(pending.until, pending.timezone)
    if now is not None and pending.until < now:
        return f"due since {until}: `personalise` does not run, or reads older events first ({pending.reason})"
    return f"waits until {until} {words.PENDING[pending.reason]} ({pending.reason})"


def _check(check: PolicyCheck) -> str:
    question = words.CHECKS.get(check.name)
    rest = " ".join(filter(None, (question, check.detail)))
    return f"{'yes' if check.passed else 'NO '} {check.name}{': ' + rest if rest else ''}"


def _choice(decision: Decision) -> str:
    """Describes which arm was drawn (for the control group: would have been drawn), and the alternatives, the likeliest first."""
    chosen = decision.variation_id or ""
    others = sorted((-chance, arm) for arm, chance in decision.propensities.items() if arm != chosen and chance > 0)
    experiment = f" in the experiment {decision.experiment_id}" if decision.experiment_id else ""
    learnt = (
        f", as learnt by {decision.snapshot_version}" if decision.snapshot_version else ", before anything is learnt"
    )
    drawn = "would have been chosen" if decision.reason == "holdout" else "chosen"
    line = f"{drawn}{experiment}{learnt}: {words.arm(chosen)} {words.percent(decision.propensity)}"
    rest = ", ".join(f"{words.arm(arm)} {words.percent(-chance)}" for chance, arm in others)
    return f"{line}; could have been: {rest}" if rest else line


def _candidate(candidate: Candidate) -> list[str]:
    model = f" {candidate.usage.model}, {candidate.usage.calls} call(s)" if candidate.usage.calls else ""
    entry = f" (entry {candidate.pool_entry_id})" if candidate.pool_entry_id else ""
    lines = [f"words by {candidate.generated_by}{entry}{model}, prompt {candidate.prompt_version}"]
    if candidate.failure:
        lines.append(f"the LLM's own words were not taken: {candidate.failure}")
    lines.extend(
        f"  {verdict.name}: {verdict.detail or 'rejected'}" for verdict in candidate.verdicts if not verdict.passed
    )
    return lines


def _reviewed(story: DecisionTrace) -> list[str]:
    """Describes why a review was requested, and its verdicts."""
    if story.review is None:
        return []
    review = story.review
    lines = [f"a person was asked to look at it until {timestamps.utc(review.timeout_at)}: {review.why}"]
    lines.extend(f"{timestamps.utc(verdict.decided_at)} {words.verdict(verdict)}" for verdict in story.verdicts)
    return lines


def _heard(story: DecisionTrace) -> list[str]:
    """Describes the text, its delivery, and the customer's response."""
    message = story.message
    if message is None:
        written = [said for candidate in story.candidates if (said := _said(candidate.text))]
        ended = story.outcome is not None and story.outcome.reason != "published"
        unheard = [f"the words that nobody heard: {said}" for said in written[-1:]] if ended else []
        return [*unheard, *_answers(story)]
    lines = [f"{message.channel} message {message.message_id}: {_said(message)}"]
    if story.cancellation is not None:
        cancelled = story.cancellation
        lines.append(f"called back {timestamps.utc(cancelled.cancelled_at)}: {words.reason(cancelled.reason)}")
    return [*lines, *(_answers(story) or ["nothing has come back from the sender so far"])]


def _answers(story: DecisionTrace) -> list[str]:
    """Describes the feedback received, and which of it does not count."""
    lines = []
    for back in story.feedback:
        reason = story.not_counted.get(back.event_id)
        not_counted = feedback_trace.words(back, reason) if reason else ""
        lines.append(f"came back {timestamps.utc(back.timestamp)}: {words.feedback(back)}{not_counted}")
    return lines


def _said(text: Message | MessageText) -> str:
    return " / ".join(filter(None, [text.title, text.email_subject, text.preheader, text.body]))
