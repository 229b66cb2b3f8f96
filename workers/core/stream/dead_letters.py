"""Builds dead letters: unusable records with reason and origin, so that they can be inspected and replayed."""

from __future__ import annotations

from datetime import UTC, datetime

from schemas import codec
from schemas.control import DeadLetter
from workers.core.errors import InvalidEvent
from workers.core.stream.records import Output, Record

TOPIC = "dead.letters"
MAX_VALUE_BYTES = 64 * 1024
#: Normal keys and headers are far smaller; a dead letter must always fit into a record.
MAX_KEY_BYTES = 4 * 1024
MAX_HEADER_BYTES = 16 * 1024
_MAX_DETAIL = 500


def dead_letter(record: Record, stage: str, error: InvalidEvent, now: datetime, *, complete: bool = True) -> Output:
    """Returns the dead letter of one record, with the source's key. `complete` False: it lacks part of the input.

    A value of more than 64 KB is cut, as noted in `detail`; topic, partition and offset still identify the full record.
    """
    notes: list[str] = []
    headers = _headers(record, notes)
    value = _cut("value", record.value, MAX_VALUE_BYTES, notes)
    key = _cut("key", record.key, MAX_KEY_BYTES, notes)
    letter = DeadLetter(
        reason=error.reason,
        detail="; ".join(filter(None, (error.detail[:_MAX_DETAIL], *notes))),
        complete=complete and not notes,
        stage=stage,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=key,
        value=value,
        headers=headers,
        appended_at=datetime.fromtimestamp(record.appended_at_s, UTC) if record.appended_at_s > 0 else None,
        failed_at=now,
    )
    return Output(TOPIC, key, codec.encode(letter))


def _cut(name: str, content: bytes | None, limit: int, notes: list[str]) -> bytes | None:
    if content is None or len(content) <= limit:
        return content
    notes.append(f"{name} cut from {len(content)} to {limit} bytes")
    return content[:limit]


def _headers(record: Record, notes: list[str]) -> dict[str, bytes]:
    size, kept = 0, dict[str, bytes]()
    for name, given in record.headers:
        value = given or b""  # Kafka allows null; this must not raise, whatever the producer
        size += len(name.encode("utf-8", "replace")) + len(value)
        if size > MAX_HEADER_BYTES:
            notes.append("headers left out")
            break
        kept[name] = value
    return kept
