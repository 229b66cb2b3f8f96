"""The IDs that a lane has already published, read back from the ledger after its state is lost.

Decisions that a lane repeats get the same IDs (most of them are recovered: core.personalisation.ledger_recovery). Outputs with a
known ID are not published again.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from workers.core.common.ids import event_hash
from workers.core.stream.records import Output

DECISIONS, REQUESTS, REVIEWS, OUTCOMES = "message.decisions", "message.requests", "message.reviews", "message.outcomes"
MESSAGES = "messages."
#: The topics that provide all published IDs; each contains every ID once.
LEDGER = (DECISIONS, REVIEWS, OUTCOMES)


class _Ids(msgspec.Struct):
    decision_id: str = ""
    message_id: str | None = None


_ids = msgspec.json.Decoder(_Ids).decode


class PublishedIds:
    """The IDs in one lane's ledger, stored as 64-bit hashes."""

    def __init__(self) -> None:
        self._known: dict[str, set[int]] = {topic: set() for topic in LEDGER}

    def __len__(self) -> int:
        return sum(map(len, self._known.values()))

    def add(self, topic: str, value: bytes | None) -> None:
        """Adds the ID of one committed record of a LEDGER topic; an unreadable record has none."""
        try:
            ids = _ids(value or b"{}")
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        if name := ids.decision_id if topic == DECISIONS else ids.message_id:
            self._known[topic].add(event_hash(name))

    def unpublished(self, outputs: Iterable[Output]) -> list[Output]:
        """Returns the outputs that have not been published yet.

        A request is checked by its decision, a message by its outcome: each pair was written in one transaction.
        """
        return [output for output in outputs if not self._has(output)]

    def _has(self, output: Output) -> bool:
        topic = output.topic
        if topic in (DECISIONS, REQUESTS):
            return self._knows(DECISIONS, _ids(output.value or b"{}").decision_id)
        if topic in (REVIEWS, OUTCOMES) or topic.startswith(MESSAGES):
            message_id = _ids(output.value or b"{}").message_id
            return self._knows(OUTCOMES, message_id) or (topic == REVIEWS and self._knows(REVIEWS, message_id))
        return False

    def _knows(self, topic: str, name: str | None) -> bool:
        return bool(name) and event_hash(name or "") in self._known[topic]
