"""Compares the counts of learn with those of an oracle that compares every record with all others (tests/support/learning.py)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from schemas import codec
from schemas.events import ORDER_COMPLETED, Track
from schemas.messages import Decision, Feedback, Outcome
from tests.simulation.rules import LEARNING
from tests.support.learning import COUNTS, MONEY, Input, Oracle, newest_metrics, sums_of
from workers.core.stream.records import Record

#: Records further ahead are refused when they are read (300 s), at a time that the oracle does not know [s].
_FUTURE_S = 240.0
#: Counts that depend on decisions and outcomes only.
_ALWAYS = ("decisions", "requested", "holdout", "no_action", "published")
_STRUCTS: dict[str, type[Decision | Outcome | Feedback]] = {
    "message.decisions": Decision,
    "message.outcomes": Outcome,
    "message.feedback": Feedback,
}


def differences(
    records: Iterable[Record],
    outputs: Sequence[tuple[str, bytes | None, bytes | None]],
    partition: int,
    now_s: float,
    *,
    whole: bool,
) -> Iterator[str]:
    """Yields the differences between the counts of one lane and its records. `whole`: including feedback and orders."""
    compared = [name for name in (*COUNTS, *MONEY) if whole or name in _ALWAYS]
    expected = Oracle(list(_values(records)), LEARNING, now_s, partition=partition).rows
    found = sums_of(newest_metrics((key, value) for topic, key, value in outputs if topic == "feedback.metrics"))
    for key in sorted(expected.keys() | found.keys()):
        for name in compared:
            if "_customers" in name:  # each counts once it is sealed: see tests/unit/test_learning.py
                continue
            right, wrong = expected.get(key, {}).get(name, 0) or 0, found.get(key, {}).get(name, 0) or 0
            if right != wrong:
                yield f"{key} has {name} {wrong}, not {right}"


def is_ahead(record: Record, clock_s: float) -> bool:
    """Returns whether an order or feedback is dated so far ahead of its lane that it is refused, or nearly."""
    if record.topic != "message.feedback" and ORDER_COMPLETED.encode() not in (record.value or b""):
        return False
    timestamp = datetime.fromisoformat(json.loads(record.value or b"")["timestamp"])
    return timestamp.timestamp() > clock_s + _FUTURE_S


def _values(records: Iterable[Record]) -> Iterator[Input]:
    for record in records:
        if record.topic in _STRUCTS:
            yield codec.decode(_STRUCTS[record.topic], record.value)
        elif ORDER_COMPLETED.encode() in (record.value or b""):
            event = codec.decode_event(record.value)
            if isinstance(event, Track):
                yield event
