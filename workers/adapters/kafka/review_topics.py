"""Reads the reviewers' queue from its topics, and encodes verdicts as records."""

from __future__ import annotations

from contextlib import suppress
from hashlib import blake2b
from typing import Literal

import msgspec

from schemas import codec
from schemas.messages import Outcome, ReviewVerdict
from workers.adapters.kafka.publisher import OperatorRecord, audit
from workers.adapters.kafka.reader import TopicReader
from workers.core.errors import Misconfigured
from workers.core.publishing.review_queue import REVIEWS, VERDICTS, Reviewed, queue
from workers.settings import Settings

OUTCOMES = "message.outcomes"
VerdictKind = Literal["approve", "edit", "reject", "rate"]


def read_queue(settings: Settings) -> dict[str, Reviewed]:
    """Returns message_id → its review, from all records committed at the time of the call."""
    found: list[object] = []
    with TopicReader(settings, [REVIEWS, VERDICTS]) as reader:
        for record in reader.read_to_end():
            try:
                found.append(codec.decode_topic(record.topic, record.value))
            except codec.Malformed:  # verdicts may come from a shop's own console
                continue
    return queue(found)


def customer_of(settings: Settings, message_id: str) -> str:
    """Returns the customer of a message that has an outcome. Raises Misconfigured if the message is unknown."""
    with TopicReader(settings, [OUTCOMES]) as reader:
        for record in reader.read_to_end():
            if message_id.encode() in (record.value or b""):
                with suppress(codec.Malformed):
                    outcome = codec.decode(Outcome, record.value)
                    if outcome.message_id == message_id:
                        return outcome.user_id
    raise Misconfigured(
        f"no message {message_id} has an outcome here.", "is the ID complete? `attune why --user U` shows it"
    )


def verdict_records(verdict: ReviewVerdict) -> list[OperatorRecord]:
    """Returns the verdict with its own ID, and its entry in the audit trail."""
    parts = (verdict.message_id, verdict.verdict, verdict.reviewer, verdict.decided_at.isoformat())
    verdict_id = blake2b("|".join(parts).encode(), digest_size=16).hexdigest()
    verdict = msgspec.structs.replace(verdict, verdict_id=verdict_id)
    action, reasons = f"review {verdict.verdict}", "; ".join(verdict.reasons)
    entry = audit(verdict.reviewer, action, verdict.message_id, reasons, verdict.decided_at)
    return [OperatorRecord(VERDICTS, verdict.user_id, verdict), entry]
