"""Maps one foreign record to events of customer.events: the way in for every format.

record ─ envelope? ─ format? ─ batch? ─ draft (one module a format) ─ finish (canonical) ─ event
                                             └──────────── reject (reasons) ◀┘
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial

import msgspec

from schemas.values import obj
from workers.core.intake import cloudevents, segment, snowplow
from workers.core.intake.canonical import MappedEvent, Origin, finish
from workers.core.intake.cloudevents import Envelope
from workers.core.intake.formats import FORMATS, Format, SourceFormat, looks_like_tsv, recognise
from workers.core.intake.reasons import reject, within
from workers.errors import InvalidEvent
from workers.ports import Record

__all__ = ["Intake", "Mapped", "MappedEvent", "SourceFormat"]


class Mapped(msgspec.Struct, frozen=True):
    """What became of one record: events to publish, and an error for each part that is of no use. Never both empty."""

    events: list[MappedEvent]
    rejects: list[InvalidEvent]


class Intake:
    """Maps records of one source topic.

    `source_format` auto tells the formats apart record by record. An event more than `max_future_s` ahead of the time
    at which it was received is rejected; one less far ahead keeps its time.
    """

    def __init__(self, source_format: SourceFormat = "auto", max_future_s: float = 86_400.0) -> None:
        self._format = source_format
        self._enveloped = source_format == "cloudevents"
        self._fixed = FORMATS.get(source_format)
        self._origin = partial(Origin, max_future_s=max_future_s)

    def map_record(self, record: Record, received_at: datetime, fallback_id: str | None = None) -> Mapped:
        """Maps one record; raises nothing, whatever the bytes are.

        `received_at` (UTC) stands in for a missing timestamp and bounds the future. `fallback_id` stands in for a
        missing message id; without it the record's bytes make one, so that a resend of the same bytes is recognised.
        """
        mapped = Mapped([], [])
        try:
            self._map(record, received_at, fallback_id, mapped)
        except InvalidEvent as error:
            mapped.rejects.append(error)
        return mapped

    def _map(self, record: Record, received_at: datetime, fallback_id: str | None, mapped: Mapped) -> None:
        value = record.value
        if value is None:
            raise reject("null_value", "the record has no value")
        may_be_enveloped = self._format in ("auto", "cloudevents")
        if may_be_enveloped and record.headers and cloudevents.is_binary(record):
            self._open(cloudevents.binary(record), received_at, mapped)
            return
        origin = self._origin(value, received_at, fallback_id=fallback_id)
        if self._format in ("auto", "segment") and value.startswith(b"{"):
            event = segment.unchanged(value, origin.latest)
            if event is not None:
                mapped.events.append(event)
                return
        raw = self._read(value)
        if may_be_enveloped and isinstance(raw, dict) and cloudevents.is_structured(obj(raw)):
            self._open(cloudevents.structured(obj(raw), record), received_at, mapped)
            return
        if self._enveloped:
            raise reject("unknown_format", "neither ce_ headers nor a CloudEvents object")
        self._collect(raw, self._fixed, origin, mapped)

    def _open(self, envelope: Envelope, received_at: datetime, mapped: Mapped) -> None:
        """Maps the data of an envelope by its own format."""
        origin = self._origin(
            envelope.data,
            received_at,
            occurred_at=envelope.occurred_at,
            customer_id=envelope.customer_id,
            message_id=envelope.message_id,
        )
        raw = self._read(envelope.data)
        if isinstance(raw, dict) and recognise(obj(raw)) is None:
            raw, form = cloudevents.custom(envelope, obj(raw)), FORMATS["segment"]
        else:
            form = None
        self._collect(raw, form, origin, mapped)

    def _read(self, value: bytes) -> object:
        if self._format == "snowplow_tsv" or (self._format in ("auto", "cloudevents") and looks_like_tsv(value)):
            return snowplow.from_tsv(value)
        try:
            return _decoder.decode(value)
        except UnicodeDecodeError as error:
            raise reject("broken_encoding", f"byte {error.start} is not UTF-8") from error
        except (msgspec.DecodeError, RecursionError) as error:
            raise reject("broken_json", str(error)) from error

    def _collect(self, raw: object, form: Format | None, origin: Origin, mapped: Mapped) -> None:
        """Maps all parts; a bad one does not lose its siblings."""
        parts = list(_parts(raw, form))
        alone = len(parts) == 1 and parts[0][1] is raw
        if not parts:
            raise reject("missing_field", "the batch is empty")
        for index, (part_form, part) in enumerate(parts):
            try:
                mapped.events.append(_map_one(part_form, part, origin, None if alone else index))
            except InvalidEvent as error:
                mapped.rejects.append(error if alone else within(error, f"event {index}"))


def _parts(raw: object, form: Format | None) -> Iterator[tuple[Format | None, object]]:
    """(format, event) for each event of a record; a JSON array is a batch of whatever it holds."""
    for item in raw if isinstance(raw, list) else [raw]:
        found = form or (recognise(obj(item)) if isinstance(item, dict) else None)
        batch = found.split(obj(item)) if found is not None and isinstance(item, dict) else None
        if batch is None:
            yield found, item
        else:
            for part in batch:
                yield found, part


def _map_one(form: Format | None, part: object, origin: Origin, index: int | None) -> MappedEvent:
    if not isinstance(part, dict):
        raise reject("wrong_type", "an event is a JSON object")
    if form is None:
        raise reject("unknown_format", "fields of no format that intake knows")
    return finish(form.draft(obj(part)), origin, index)


_decoder = msgspec.json.Decoder()
