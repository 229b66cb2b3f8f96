"""The chain behind a message, or behind silence: from the event to the text, in the order it happened."""

from __future__ import annotations

import msgspec

from schemas.messages import Candidate, Decision, Message, MessageRequest, Outcome

#: Topics that tell a story, by logical name; messages.* come on top.
TOPICS = ("message.decisions", "message.requests", "message.candidates", "message.outcomes")

_REASONS = {
    "requested": "a message was asked for",
    "published": "it was handed to the sender",
    "consent": "the customer has not allowed it",
    "frequency_capped": "the customer has had enough messages for now",
    "missing_identifier": "we do not know who the customer is",
    "converted": "the customer bought meanwhile",
    "expired": "it would have come too late",
    "stale": "its campaign or channel is gone",
}


class Story(msgspec.Struct):
    """Everything about one trigger occurrence; the parts that did not happen are None."""

    decision: Decision
    request: MessageRequest | None = None
    candidates: list[Candidate] = []
    outcome: Outcome | None = None
    message: Message | None = None


def stories(records: list[object]) -> list[Story]:
    """Puts decoded records of one customer together, oldest occurrence first."""
    by_decision: dict[str, Story] = {}
    by_message: dict[str, Story] = {}
    for record in records:
        if isinstance(record, Decision):
            story = by_decision[record.decision_id] = Story(record)
            if record.message_id:
                by_message[record.message_id] = story
    for record in records:
        match record:
            case MessageRequest() if record.message_id in by_message:
                by_message[record.message_id].request = record
            case Candidate() if record.message_id in by_message:
                story = by_message[record.message_id]
                story.candidates = [*story.candidates, record]
            case Outcome() if record.message_id in by_message:
                by_message[record.message_id].outcome = record
            case Message() if record.message_id in by_message:
                by_message[record.message_id].message = record
            case _:
                pass
    return sorted(by_decision.values(), key=lambda story: story.decision.decided_at)


def explain(story: Story) -> list[str]:
    """The story in sentences, one a line; no word of the inside that a marketer would not know."""
    decision = story.decision
    lines = [
        f"{decision.decided_at:%Y-%m-%d %H:%M:%S} {decision.campaign_id} ({decision.trigger}, {decision.occurrence_id})"
    ]
    if decision.source_event is not None:
        source = decision.source_event
        lines.append(f"  began with {source.topic} partition {source.partition} offset {source.offset}")
    lines.append(
        f"  customer: target group {decision.target_group}, language {decision.locale}, product {decision.product_id}, "
        f"profile version {decision.profile_version}"
    )
    lines.extend(
        f"  {'yes' if check.passed else 'NO '} {check.name}{': ' + check.detail if check.detail else ''}"
        for check in decision.checks
    )
    lines.append(f"  decided: {_REASONS.get(decision.reason, decision.reason)} ({decision.reason})")
    for candidate in story.candidates:
        lines.extend(_candidate(candidate))
    if story.outcome is not None:
        outcome = story.outcome
        detail = f": {outcome.detail}" if outcome.detail else ""
        lines.append(f"  ended: {_REASONS.get(outcome.reason, outcome.reason)} ({outcome.reason}){detail}")
    elif decision.message_id is not None:
        lines.append("  not ended yet: the words are awaited")
    if story.message is not None:
        message = story.message
        words = [message.title, message.email_subject, message.preheader, message.body]
        lines.append(f"  {message.channel} message {message.message_id}: {' / '.join(filter(None, words))}")
    return lines


def _candidate(candidate: Candidate) -> list[str]:
    model = f" {candidate.usage.model}, {candidate.usage.calls} call(s)" if candidate.usage.calls else ""
    lines = [f"  words by {candidate.generated_by}{model}, prompt {candidate.prompt_version}"]
    if candidate.failure:
        lines.append(f"  the LLM's own words were not taken: {candidate.failure}")
    lines.extend(
        f"    {verdict.name}: {verdict.detail or 'rejected'}" for verdict in candidate.verdicts if not verdict.passed
    )
    return lines
