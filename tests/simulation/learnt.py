"""What learn must have counted: told by an oracle that looks for everything in everything (tests/support_learning.py)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from schemas import codec
from schemas.events import ORDER_COMPLETED, Track
from schemas.messages import Decision, Feedback, Outcome
from tests.simulation.rules import LEARNING
from tests.support_learning import COUNTS, MONEY, Fed, Oracle, newest_metrics, sums_of
from workers.ports import Record

#: Feedback further ahead is refused as long as it is [s].
_FUTURE_S = 240.0
#: What is counted from feedback.
_HEARD = frozenset(COUNTS[COUNTS.index("sent") :]) - {"converted"}
_STRUCTS: dict[str, type[Decision | Outcome | Feedback]] = {
    "message.decisions": Decision,
    "message.outcomes": Outcome,
    "message.feedback": Feedback,
}


def differences(
    records: Iterable[Record], told: Sequence[tuple[str, bytes | None, bytes | None]], partition: int, now_s: float
) -> Iterator[str]:
    """Where the counts of one lane are not what its records come to."""
    records = list(records)
    compared = [name for name in (*COUNTS, *MONEY) if name not in _HEARD or not any(map(_is_ahead, records))]
    expected = Oracle(list(_values(records)), LEARNING, now_s, partition).rows
    found = sums_of(newest_metrics((key, value) for topic, key, value in told if topic == "feedback.metrics"))
    for key in sorted(expected.keys() | found.keys()):
        for name in compared:
            right, wrong = expected.get(key, {}).get(name, 0) or 0, found.get(key, {}).get(name, 0) or 0
            if right != wrong:
                yield f"{key} has {name} {wrong}, not {right}"


def _is_ahead(record: Record) -> bool:
    """Whether feedback comes from a clock so far ahead that it may count or not, depending on when it is read."""
    if record.topic != "message.feedback":
        return False
    said = codec.decode(Feedback, record.value)
    return said.timestamp.timestamp() > record.appended_at_s + _FUTURE_S


def _values(records: Iterable[Record]) -> Iterator[Fed]:
    for record in records:
        if record.topic in _STRUCTS:
            yield codec.decode(_STRUCTS[record.topic], record.value)
        elif ORDER_COMPLETED.encode() in (record.value or b""):
            event = codec.decode_event(record.value)
            if isinstance(event, Track):
                yield event
