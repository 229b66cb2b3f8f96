"""Turns a record that makes our own code raise into a dead letter, so that it does not block the records around it.

Such a failure is our bug, not the shop's: it is logged with its stack trace, and the record can be replayed once the bug is
fixed (`attune dlq replay`). No timer publishes anything in the same batch: the record might have cancelled it.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from workers.adapters.lanes import trial
from workers.adapters.lanes.trial import OUTSIDE, Build
from workers.adapters.process import failpoints
from workers.core.errors import Fatal, InvalidEvent
from workers.core.stream.dead_letter_limits import Limits, Tolerance
from workers.core.stream.dead_letters import dead_letter
from workers.core.stream.effects import Effects, Processor
from workers.core.stream.records import Record, StateStore

log = logging.getLogger(__name__)

REASON = "handler_error"
#: Runs a long call off the event loop.
Blocking = Callable[[Callable[[], Effects]], Awaitable[Effects]]


async def _inline(call: Callable[[], Effects]) -> Effects:
    return call()


class PoisonRecordGuard:
    """A lane's core that survives records which raise: they become dead letters, and the others are applied.

    `build` makes a core from the committed state in `store`; `stage` names the component that failed on the record.
    """

    def __init__(
        self,
        build: Build,
        store: StateStore,
        stage: str,
        *,
        limits: Limits | None = None,
        blocking: Blocking = _inline,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """`blocking` runs the search for the records that raise, which calls `beat` at every step."""
        self._build, self._store, self._stage = build, store, stage
        self._blocking, self._beat = blocking, beat
        self._tolerance = Tolerance(limits or Limits())
        self._core: Processor | None = build(store)

    async def apply(self, records: list[Record], wall_s: float, *, caught_up: bool) -> Effects:
        """See core.stream.effects.Processor. Returns at once unless a record raises.

        Raises what the core raises if no single record is the cause, and Fatal if there would be more dead letters than
        tolerated.
        """
        if self._core is None:
            self._core = await self._built()
        try:
            failpoints.poison(records)
            effects = self._core.apply(records, wall_s, caught_up=caught_up)
        except OUTSIDE:
            raise
        except Exception as error:
            if not failpoints.isolates():
                raise
            cause = error  # the name ends with this block
        else:
            self._tolerance.took(len(records) - len(effects.deferred), _dead_letters(effects))
            self._stop_if_exceeded()
            return effects
        return await self._blocking(lambda: self._without_poison(records, wall_s, cause))

    def discard(self) -> None:
        """Discards the latest, uncommitted effects: the next batch begins with the committed state."""
        self._core = None

    async def _built(self) -> Processor:
        built: list[Processor] = []

        def build() -> Effects:
            built.append(self._build(self._store))
            return Effects()

        await self._blocking(build)
        return built[0]

    # -- -- poison records ---- --------------------------------------------------------------------------------------

    def _without_poison(self, records: list[Record], wall_s: float, error: Exception) -> Effects:
        """Returns the effects of all other records, and a dead letter for each that raises.

        Records beyond the tolerance, and all records after them, are deferred.
        """
        for search in (trial.search, trial.search_in_full):  # the second is slow, and finds what the first cannot
            raising = search(self._build, self._store, records, wall_s, self._beat)
            if not raising:
                continue
            tolerance, end = self._tolerated(records, raising)
            if end == 0:
                raise self._too_many(error) from error
            known = set(raising)
            good = [record for place, record in enumerate(records[:end]) if place not in known]
            core = self._build(self._store)
            self._beat()
            if (effects := trial.attempt(core, good, wall_s)) is None:
                continue
            self._core, self._tolerance = core, tolerance
            bad = [records[place] for place in raising if place < end]
            again = _deferred_again(bad, effects.deferred)
            self._add_dead_letters([record for record in bad if id(record) not in again], effects, wall_s, error)
            effects.deferred = [record for place, record in enumerate(records) if place >= end or id(record) in again]
            effects.more_due = True  # timers that are due were not checked
            return effects
        raise error

    def _add_dead_letters(self, bad: list[Record], effects: Effects, wall_s: float, error: Exception) -> None:
        """Adds dead letters and logs the position of the first, but not the error's text: it may contain personal data."""
        kind = type(error).__name__
        for record in bad:
            letter = dead_letter(record, self._stage, InvalidEvent(REASON, kind), datetime.fromtimestamp(wall_s, UTC))
            effects.outputs.append(letter)
            effects.tally["dead_letters", self._stage, REASON] += 1
        if bad:
            log.error(
                "%s[%s] offset %s made %s raise %s and became a dead letter, as did %d more records of its batch\n%s",
                *(bad[0].topic, bad[0].partition, bad[0].offset, self._stage, kind, len(bad) - 1),
                "".join(traceback.format_tb(error.__traceback__)),
            )

    def _too_many(self, error: Exception) -> Fatal:
        return Fatal(
            f"too many recent records make {self._stage} raise {type(error).__name__}; the earlier ones are dead letters.",
            "the stack trace is in the log: if this version is broken, go back to the previous one; otherwise increase "
            "raised_ratio and raised_in_a_row",
        )

    def _tolerated(self, records: list[Record], raising: list[int]) -> tuple[Tolerance, int]:
        """Returns (the counts after the records that may be applied now, the number of these leading records)."""
        tolerance, start = self._tolerance.copy(), 0
        for place in raising:
            tolerance.took(place - start)
            if not tolerance.may_raise():
                return tolerance, place
            tolerance.raised()
            start = place + 1
        if len(raising) == trial.MAX_FOUND:
            return tolerance, start
        tolerance.took(len(records) - start)
        return tolerance, len(records)

    def _stop_if_exceeded(self) -> None:
        if self._tolerance.is_exceeded():
            raise Fatal(
                f"more of the recent input of {self._stage} is unusable than dead_letter_ratio allows.",
                "`attune dlq list` shows it; fix its sender, or increase dead_letter_ratio",
            )


def _deferred_again(bad: list[Record], deferred: list[Record]) -> set[int]:
    """Returns the `id()` of each record to defer: those the core deferred, and those that raise after them in their topic."""
    first: dict[str, int] = {}
    for record in deferred:
        first.setdefault(record.topic, record.offset)
    later = [record for record in bad if record.offset > first.get(record.topic, record.offset)]
    return set(map(id, [*deferred, *later]))


def _dead_letters(effects: Effects) -> int:
    return sum(number for labels, number in effects.tally.items() if labels[0] == "dead_letters")
