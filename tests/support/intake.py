"""Helpers for the tests of intake."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from schemas import codec
from schemas.events import Track
from workers.core.intake.mapping import Intake, Mapped, SourceFormat
from workers.core.stream.records import Record

NOW = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


def record(content: object, *, key: bytes | None = None, headers: tuple[tuple[str, bytes], ...] = ()) -> Record:
    """Returns a record of a shop's topic; bytes and None unchanged, everything else as JSON."""
    value = content if content is None or isinstance(content, bytes) else json.dumps(content).encode()
    return Record(topic="shop.events", partition=0, offset=7, key=key, value=value, appended_at_s=1.0, headers=headers)


def map_all(content: object, source_format: SourceFormat = "auto", **record_fields: Any) -> Mapped:
    """Maps one record, received at NOW."""
    return Intake(source_format).map_record(record(content, **record_fields), NOW)


def map_one(content: object, source_format: SourceFormat = "auto", **record_fields: Any) -> dict[str, Any]:
    """Returns the only event of a record, as JSON; its readers must be able to decode it."""
    mapped = map_all(content, source_format, **record_fields)
    assert mapped.rejects == []
    assert len(mapped.events) == 1
    event = codec.decode_event(mapped.events[0].value)
    assert mapped.events[0].key == event.customer_id.encode()
    decoded: dict[str, Any] = json.loads(mapped.events[0].value)
    return decoded


def track(content: object, source_format: SourceFormat = "auto", **record_fields: Any) -> Track:
    """Returns the only event of a record, decoded like by its readers."""
    event = codec.decode_event(map_all(content, source_format, **record_fields).events[0].value)
    assert isinstance(event, Track)
    return event


def reasons(mapped: Mapped) -> list[str]:
    """Returns the reasons for which the parts of a record were rejected."""
    return [error.reason for error in mapped.rejects]
