"""Implements the intake lane: maps external records to re-keyed customer.events; unmappable records become dead letters."""

from __future__ import annotations

from workers.core.common.timestamps import instant
from workers.core.errors import InvalidEvent
from workers.core.intake.mapping import Intake
from workers.core.stream.dead_letters import dead_letter
from workers.core.stream.effects import Effects
from workers.core.stream.records import Output, Record

STAGE = "intake"
EVENTS = "customer.events"


#: Maximum output of one batch [bytes]; the remaining records are deferred to the next one.
MAX_BATCH_BYTES = 32 << 20


class IntakeProcessor:
    """Stateless; implements core.stream.effects.Processor."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def apply(self, records: list[Record], wall_s: float, *, caught_up: bool) -> Effects:
        """Maps each record; of a batch within one record, only the invalid events are rejected, in one shared dead letter."""
        del caught_up  # no timers here
        effects = Effects(clock_s=wall_s)
        size = 0
        for index, record in enumerate(records):
            mapped = self._intake.map_record(record, instant(record.appended_at_s))
            for event in mapped.events:
                effects.outputs.append(Output(EVENTS, event.key, event.value))
                size += len(event.value)
            effects.tally["events", "mapped"] += len(mapped.events)
            if (error := mapped.combined_error()) is not None:
                size += self._reject(effects, record, error, mapped.rejected, wall_s)
            if size >= MAX_BATCH_BYTES:
                effects.deferred = records[index + 1 :]
                effects.more_due = bool(effects.deferred)
                break
        return effects

    @staticmethod
    def _reject(effects: Effects, record: Record, error: InvalidEvent, parts: int, wall_s: float) -> int:
        """Adds the record's dead letter; returns its size [bytes]."""
        letter = dead_letter(record, STAGE, error, instant(wall_s))
        effects.outputs.append(letter)
        effects.tally["events", "rejected"] += parts
        effects.tally["dead_letters", STAGE, error.reason] += 1
        return len(letter.value or b"")
