"""What the simulator must see: each protection taken away again, in the tests alone. Run as a module it makes the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import msgspec

from tests.simulation.plan import Plan
from tests.simulation.run import play
from tests.simulation.world import Switches, World
from workers.core import personalise, quiet_hours
from workers.core.house_rules import QuietHours

SEEDS = 2_000
Patch = Callable[[], Any]


class Reverted(msgspec.Struct, frozen=True, kw_only=True):
    """One protection that is off. `rules`: what must be broken then; `switches`: of the shell; `patches`: of the core."""

    name: str
    rules: tuple[str, ...]
    switches: Switches = Switches()
    patches: tuple[Patch, ...] = ()

    @contextmanager
    def off(self) -> Iterator[Callable[[Plan], World]]:
        """Gives what makes a world without the protection, as long as it lasts."""
        with ExitStack() as stack:
            for patch in self.patches:
                stack.enter_context(patch())
            yield lambda plan: World(plan, self.switches)

    def seeds_needed(self) -> int | None:
        """How many seeds show it; None = more than SEEDS."""
        with self.off() as make:
            tally = play(0, SEEDS, make, stop=lambda tally: bool(tally.broken.keys() & set(self.rules)))
        found = [seed for rule, seed in tally.broken.items() if rule in self.rules]
        return min(found) + 1 if found else None


def _ends_at(quiet: QuietHours, zone: str, now_s: float) -> float | None:
    """The first time at which the clock shows the end, be it over."""
    local = datetime.fromtimestamp(now_s, UTC).astimezone(quiet_hours._zone(zone))
    minute, start, end = local.hour * 60 + local.minute, _minute(quiet.start), _minute(quiet.end)
    if not (start <= minute < end if start < end else minute >= start or minute < end):
        return None
    day = local.date() + timedelta(days=1) if minute >= end else local.date()
    return datetime(day.year, day.month, day.day, end // 60, end % 60, tzinfo=quiet_hours._zone(zone)).timestamp()


def _minute(time: str) -> int:
    hours, minutes = time.split(":")
    return int(hours) * 60 + int(minutes)


REVERTED = (
    Reverted(
        name="a lane's clock is that of its worker, however far that has jumped",
        rules=("clock",),
        switches=Switches(bounds_clock=False),
    ),
    Reverted(
        name="the last stable offset is taken for the end of a topic",
        rules=("consent", "bought"),
        switches=Switches(waits_for_open=False, waits_for_intake=False),
    ),
    Reverted(
        name="what intake has not mapped yet is not waited for",
        rules=("consent", "bought"),
        switches=Switches(waits_for_intake=False),
    ),
    Reverted(
        name="quiet hours end when the clock first shows it, and a timer that is set to the past fires again",
        rules=("quiet hours", "stuck"),
        patches=(
            lambda: mock.patch.object(quiet_hours, "ends_at", _ends_at),
            lambda: mock.patch.object(personalise, "SPIN_S", 0.0),
        ),
    ),
)


def table() -> Iterator[str]:
    """The lines of the table in docs/simulation.md."""
    yield "| taken away | rule that is broken | seeds needed |"
    yield "| --- | --- | --- |"
    for one in REVERTED:
        yield f"| {one.name} | {', '.join(one.rules)} | {one.seeds_needed()} |"


if __name__ == "__main__":
    for line in table():
        print(line, flush=True)  # noqa: T201 # it is a program then
