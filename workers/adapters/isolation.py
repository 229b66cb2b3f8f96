"""A record that makes our own code raise must not hold up its neighbours for ever: it becomes a dead letter.

Such a record is a mistake of ours, not of the shop: it is logged with its stack, and can be sent in again once the mistake
is mended (`attune dlq replay`).
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from datetime import UTC, datetime

from workers.adapters import failpoints
from workers.core.dead_letters import dead_letter
from workers.core.lane import Effects, LaneCore
from workers.errors import InvalidEvent
from workers.ports import Record

log = logging.getLogger(__name__)

#: What a mistake in code raises. Anything else (a broken disk, a lost broker) is nothing that one record could cause.
MISTAKES = (ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
#: So many records one after another that all raise are no accident of one record: then the worker stops.
MOST_IN_A_ROW = 10
REASON = "handler_error"


class Isolated:
    """A lane's core that survives a record which raises: everything before it is applied, it is a dead letter, the rest
    comes again. `build` makes a core from what is committed; `stage` names who could not use the record.
    """

    def __init__(self, build: Callable[[], LaneCore], stage: str) -> None:
        self._build, self._stage = build, stage
        self._core = build()
        self._in_a_row = 0

    def apply(self, records: list[Record], wall_s: float, *, caught_up: bool) -> Effects:
        """See core.lane.LaneCore. Raises what the core raises where no single record is the cause."""
        try:
            effects = _apply(self._core, records, wall_s, caught_up=caught_up)
        except MISTAKES as error:
            if not failpoints.isolates():
                raise
            return self._without_the_cause(records, wall_s, caught_up=caught_up, error=error)
        if records:
            self._in_a_row = 0
        return effects

    def _without_the_cause(self, records: list[Record], wall_s: float, *, caught_up: bool, error: Exception) -> Effects:
        """The effects of the records before the first that raises, its dead letter, and the rest as deferred."""
        good, effects = self._longest_good(records, wall_s, caught_up=caught_up)
        self._in_a_row = 1 if good else self._in_a_row + 1
        if effects is None or effects.deferred or self._in_a_row > MOST_IN_A_ROW:
            raise error
        cause = records[good]
        log.error(  # where, but not what the error says: that may be of a person
            "%s[%s] offset %s makes %s raise %s and becomes a dead letter\n%s",
            *(cause.topic, cause.partition, cause.offset, self._stage, type(error).__name__),
            "".join(traceback.format_tb(error.__traceback__)),
        )
        reason = InvalidEvent(REASON, type(error).__name__)
        effects.outputs.append(dead_letter(cause, self._stage, reason, datetime.fromtimestamp(wall_s, UTC)))
        effects.tally["dead_letters", self._stage, REASON] += 1
        effects.deferred = records[good + 1 :]
        effects.more_due = effects.more_due or bool(effects.deferred)
        return effects

    def _longest_good(self, records: list[Record], wall_s: float, *, caught_up: bool) -> tuple[int, Effects | None]:
        """(how many records from the first can be applied, their effects), by halving; None = not even none can."""
        good, bad, found = -1, len(records), None
        while bad - good > 1:
            middle = (good + bad) // 2
            core = self._build()  # the last one is ahead of what is committed
            try:
                effects = _apply(core, records[:middle], wall_s, caught_up=caught_up)
            except MISTAKES:
                bad = middle
            else:
                good, found, self._core = middle, effects, core
        return good, found


def _apply(core: LaneCore, records: list[Record], wall_s: float, *, caught_up: bool) -> Effects:
    failpoints.poison(records)
    return core.apply(records, wall_s, caught_up=caught_up)
