"""The lane of intake: foreign records in, customer.events out, re-keyed; what cannot be mapped becomes a dead letter."""

from __future__ import annotations

from workers.core.dead_letters import dead_letter
from workers.core.fold import instant
from workers.core.intake.mapping import Intake
from workers.core.lane import Effects
from workers.errors import InvalidEvent
from workers.ports import Output, Record

STAGE = "intake"
EVENTS = "customer.events"


class IntakeLane:
    """Stateless; implements core.lane.LaneCore."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def apply(self, records: list[Record], wall_s: float, *, caught_up: bool) -> Effects:
        """Maps each record; a batch of events inside one record loses only its bad ones."""
        del caught_up  # no timers here
        effects = Effects(clock_s=wall_s)
        for record in records:
            mapped = self._intake.map_record(record, instant(record.appended_at_s))
            effects.outputs.extend(Output(EVENTS, event.key, event.value) for event in mapped.events)
            effects.tally["events", "mapped"] += len(mapped.events)
            for error in mapped.rejects:
                self._reject(effects, record, error, wall_s)
        return effects

    @staticmethod
    def _reject(effects: Effects, record: Record, error: InvalidEvent, wall_s: float) -> None:
        effects.outputs.append(dead_letter(record, STAGE, error, instant(wall_s)))
        effects.tally["events", "rejected"] += 1
        effects.tally["dead_letters", STAGE, error.reason] += 1
