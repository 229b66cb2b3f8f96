"""Reads the reviewers' queue from its topics, and puts verdicts into records."""

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
    """message_id → its review, with everything that is committed when this is called."""
    found: list[object] = []
    with TopicReader(settings, [REVIEWS, VERDICTS]) as reader:
        for record in reader.read_to_end():
            try:
                found.append(codec.decode_topic(record.topic, record.value))
            except codec.Malformed:  # verdicts may come from a console of the shop's own
                continue
    return queue(found)


def customer_of(settings: Settings, message_id: str) -> str:
    """The customer of a message that has ended. Raises Misconfigured when nobody knows it."""
    with TopicReader(settings, [OUTCOMES]) as reader:
        for record in reader.read_to_end():
            if message_id.encode() in (record.value or b""):
                with suppress(codec.Malformed):
                    outcome = codec.decode(Outcome, record.value)
                    if outcome.message_id == message_id:
                        return outcome.user_id
    raise Misconfigured(f"no message {message_id} has ended here.", "is the id whole? `attune why --user U` shows it")


def verdict_statements(said: ReviewVerdict) -> list[OperatorRecord]:
    """The verdict under an id of its own, and its line of the audit trail."""
    parts = (said.message_id, said.verdict, said.reviewer, said.decided_at.isoformat())
    verdict_id = blake2b("|".join(parts).encode(), digest_size=16).hexdigest()
    verdict = msgspec.structs.replace(said, verdict_id=verdict_id)
    line = audit(said.reviewer, f"review {said.verdict}", said.message_id, "; ".join(said.reasons), said.decided_at)
    return [OperatorRecord(VERDICTS, said.user_id, verdict), line]
