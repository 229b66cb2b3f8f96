"""Clocks that are wrong: one that jumps for a moment takes no lane with it, and a state from the future is refused."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.faults.table import Cases, Row
from tests.support.faults import Shop, decode_marker
from tests.support.waiting import wait_until
from tests.support.workers import ROOT, prepare, produce, read, worker
from workers.adapters.process.exit_codes import Exit
from workers.adapters.state.recovery import MARKER_KEY
from workers.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

EVENTS = 400
DAY_S = 86_400.0


@pytest.fixture
def running(settings: Settings) -> Settings:
    return prepare(settings.changed(playbook=str(ROOT / "playbooks" / "rees46")))


def said(settings: Settings, role: str) -> str:
    path = Path(settings.data_dir) / f"{role}.log"
    return path.read_text() if path.exists() else ""


def lanes(settings: Settings, role: str) -> dict[int, tuple[int, float]]:
    """Of each lane the records of customer.events that are applied, and how far its clock is ahead of ours [s]."""
    found = {}
    for record in read(settings, f"{role}-state"):
        if record.key == MARKER_KEY and record.value is not None:
            marker = decode_marker(record.value)
            found[record.partition] = marker.offsets.get("customer.events", 0), marker.clock_s - time.time()
    return found


def apply_until(settings: Settings, role: str, events: int, **environment: str) -> None:
    """A worker applies so many events in all, after its clock has jumped where that is armed."""
    armed = "clock.jump" in environment.get("ATTUNE_FAILPOINTS", "")
    before = len(said(settings, role))
    with worker(role, settings, **environment) as process:

        def happens(condition: bool) -> bool:
            assert process.poll() is None, said(settings, role)[-3000:]
            return condition

        opened = settings.partitions
        wait_until(lambda: happens(said(settings, role)[before:].count("is open after") == opened), 60, "open")
        wait_until(lambda: happens(not armed or "the clock jumps" in said(settings, role)[before:]), 60, "the jump")
        produce(settings, "customer.events", list(Shop(100).events(EVENTS)))

        def applied() -> bool:
            return happens(sum(offset for offset, _ in lanes(settings, role).values()) >= events)

        wait_until(applied, 60, f"{events} events applied")
        process.terminate()
        assert process.wait(40) == 0


@pytest.mark.parametrize("role", ["personalise", "learn"])
def test_a_clock_that_jumps_a_month_for_one_moment_leaves_every_lane_in_its_day(
    running: Settings, cases: Cases, role: str
) -> None:
    apply_until(running, role, EVENTS, ATTUNE_FAILPOINTS="clock.jump=12")
    ahead_s = max(ahead for _, ahead in lanes(running, role).values())
    assert ahead_s <= running.clock_tolerance_s
    assert "this machine's clock is 2592000 s ahead of the broker's" in said(running, role)
    apply_until(running, role, 2 * EVENTS)
    assert max(ahead for _, ahead in lanes(running, role).values()) <= running.clock_tolerance_s
    cases.passed(
        f"35-clock-{role}",
        Row(
            case=f"the clock of {role} jumps a month ahead, for one turn of a lane",
            injected=f"{EVENTS} events after it; the furthest lane is {max(ahead_s, 0.0):.0f} s ahead",
            lost=0,
            duplicated=0,
            differences=0,
        ),
    )


@pytest.mark.parametrize("role", ["personalise", "learn"])
def test_a_lane_that_does_not_ask_the_broker_is_taken_along_and_then_refused_until_it_is_set_back(
    running: Settings, cases: Cases, role: str
) -> None:
    apply_until(running, role, EVENTS, ATTUNE_FAILPOINTS="unsafe.clock,clock.jump=12")
    ahead_s = max(ahead for _, ahead in lanes(running, role).values())
    assert ahead_s > 29 * DAY_S
    cases.unprotected(f"35-clock-{role}", f"a lane is {ahead_s / DAY_S:.0f} days ahead, for ever")
    (poisoned,) = [lane for lane, (_, ahead) in lanes(running, role).items() if ahead > DAY_S]
    for _ in range(2):  # the second start says the same
        before = len(said(running, role))
        with worker(role, running) as process:
            assert process.wait(60) == Exit.MISCONFIGURED, said(running, role)[-3000:]
        assert f"lane {poisoned}: its stored clock is" in said(running, role)[before:]
        assert "ATTUNE_RESET_CLOCK=1" in said(running, role)[before:]
    apply_until(running, role, 2 * EVENTS, ATTUNE_RESET_CLOCK="1")
    assert max(ahead for _, ahead in lanes(running, role).values()) <= running.clock_tolerance_s
    apply_until(running, role, 3 * EVENTS)
    assert max(ahead for _, ahead in lanes(running, role).values()) <= running.clock_tolerance_s
