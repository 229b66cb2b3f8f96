"""Maps one external record to events of customer.events: the entry point for every format.

record ─ envelope? ─ format? ─ batch? ─ draft (one module per format) ─ finish (canonical) ─ event
                                             └────────────── reject (reasons) ◀┘
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import NamedTuple

import msgspec

from schemas.values import Json, obj
from workers.core.errors import InvalidEvent
from workers.core.intake.canonical.finish import MAX_EVENT_BYTES, MappedEvent, Origin, finish
from workers.core.intake.canonical.rejections import combine, reject, with_place
from workers.core.intake.formats import cloudevents, segment, snowplow
from workers.core.intake.formats.cloudevents import Envelope
from workers.core.intake.formats.registry import FORMATS, Format, SourceFormat, detect, looks_like_tsv
from workers.core.stream.records import Record

__all__ = ["Intake", "Mapped", "MappedEvent", "SourceFormat"]


#: Maximum number of events in a record; a typical batch has hundreds.
MAX_PARTS = 3_000
#: Maximum output of one record [bytes]: this factor times its size, plus this. A batch repeats shared fields in every event.
OUTPUT_FACTOR, OUTPUT_BYTES = 4, 1 << 20
#: Maximum number of shared values repeated over all events of a record: each takes about a microsecond.
MAX_REPEATED = 25_000
#: Maximum number of rejected parts of a record that are reported one by one; further ones are only counted.
MAX_REPORTED = 5
_REPEATS_TOO_MUCH = "the events of the record repeat too much shared data"


class Mapped(msgspec.Struct):
    """The result for one record: events to publish, and an error for each of the first MAX_REPORTED rejected parts.

    `rejected` counts all rejected parts. The two lists are never both empty. The events total at most OUTPUT_FACTOR times the
    record's bytes plus OUTPUT_BYTES.
    """

    events: list[MappedEvent]
    rejects: list[InvalidEvent]
    rejected: int = 0

    def reject(self, error: InvalidEvent) -> None:
        """Adds a rejected part."""
        self.rejected += 1
        if len(self.rejects) < MAX_REPORTED:
            self.rejects.append(error)

    def combined_error(self) -> InvalidEvent | None:
        """Returns one error for the record, which names the places of its rejected parts; None = there are none."""
        return combine(self.rejects, self.rejected) if self.rejects else None


class Intake:
    """Maps records of one source topic.

    With `source_format` auto, the format is detected for each record. An event more than `max_future_s` ahead of the time it
    was received is rejected; an event less far ahead keeps its timestamp.
    """

    def __init__(self, source_format: SourceFormat = "auto", max_future_s: float = 86_400.0) -> None:
        self._format = source_format
        self._enveloped = source_format == "cloudevents"
        self._fixed = FORMATS.get(source_format)
        self._origin = partial(Origin, max_future_s=max_future_s)

    def map_record(self, record: Record, received_at: datetime, fallback_id: str | None = None) -> Mapped:
        """Maps one record; never raises, whatever the bytes are.

        `received_at` (UTC) replaces a missing timestamp and bounds the future. `fallback_id` replaces a missing message ID;
        without it, the ID is a hash of the record's bytes, so that a retry with the same bytes is a duplicate.
        """
        mapped = Mapped([], [])
        try:
            self._map(record, received_at, fallback_id, mapped)
        except InvalidEvent as error:
            mapped.reject(error)
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
            raise reject("unknown_format", "the record has neither ce_ headers nor a CloudEvents object")
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
        if isinstance(raw, dict) and detect(obj(raw)) is None:
            raw, form = cloudevents.custom(envelope, obj(raw)), FORMATS["segment"]
        else:
            form = None
        self._collect(raw, form, origin, mapped)

    def _read(self, value: bytes) -> object:
        if self._format == "snowplow_tsv" or (self._format in ("auto", "cloudevents") and looks_like_tsv(value)):
            return snowplow.from_tsv(value)
        try:
            return _decoder.decode(value.removeprefix(BOM_UTF8))
        except UnicodeDecodeError as error:
            raise reject("broken_encoding", f"byte {error.start} is not valid UTF-8") from error
        except (msgspec.DecodeError, RecursionError) as error:
            raise reject("broken_json", str(error)) from error

    def _collect(self, raw: object, form: Format | None, origin: Origin, mapped: Mapped) -> None:
        """Maps all parts; a rejected part does not affect the others, and the total size of the events is limited."""
        left = OUTPUT_FACTOR * origin.size + OUTPUT_BYTES
        repeated = 0
        parts = enumerate(_parts(raw, form))
        index = -1
        for index, part in parts:
            is_single = part.call is raw
            repeated += part.values
            if index >= MAX_PARTS or left < 0 or repeated > MAX_REPEATED:
                too_many = f"the record has more than {MAX_PARTS} events"
                detail = too_many if index >= MAX_PARTS else _REPEATS_TOO_MUCH
                mapped.reject(with_place(reject("too_large", detail), f"event {index}"))
                mapped.rejected += sum(1 for _ in parts)
                return
            try:
                event = _map_part(part, origin, None if is_single else index)
            except InvalidEvent as error:
                mapped.reject(error if is_single else with_place(error, f"event {index}"))
                left -= part.shared
                continue
            left -= len(event.key) + len(event.value)
            if left >= 0:
                mapped.events.append(event)
            else:
                mapped.reject(with_place(reject("too_large", _REPEATS_TOO_MUCH), f"event {index}"))
        if index < 0:
            raise reject("missing_field", "the batch is empty")


class _Part(NamedTuple):
    """One event of a record; `shared` is the size of the fields repeated in it [bytes], `values` their approximate number."""

    form: Format | None
    call: object
    join: Callable[[Json], Json] | None = None
    shared: int = 0
    values: int = 0


def _parts(raw: object, form: Format | None) -> Iterator[_Part]:
    """Yields each event of a record, not yet joined with the shared fields; a JSON array is a batch of its elements."""
    for item in raw if isinstance(raw, list) else [raw]:
        item_form = form or (detect(obj(item)) if isinstance(item, dict) else None)
        batch = item_form.split(obj(item)) if item_form is not None and isinstance(item, dict) else None
        if batch is None:
            yield _Part(item_form, item)
        else:
            shared = _encode(batch.shared)
            size, values = len(shared), shared.count(b",")
            for call in batch.calls:
                yield _Part(item_form, call, batch.join, size, values)


def _map_part(part: _Part, origin: Origin, index: int | None) -> MappedEvent:
    if not isinstance(part.call, dict):
        raise reject("wrong_type", "an event must be a JSON object")
    if part.form is None:
        raise reject("unknown_format", "its fields match no format that intake supports")
    call = obj(part.call)
    return finish(part.form.draft(call if part.join is None else part.join(call)), origin, index)


def _encode(shared: Json) -> bytes:
    """Encodes shared fields only to measure their size; fields that cannot be encoded (surrogates) count as too large."""
    try:
        return _encoder.encode(shared)
    except (UnicodeEncodeError, RecursionError):
        return b" " * MAX_EVENT_BYTES  # no event that repeats them can be encoded either


_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()
