"""Quiet hours on every night of the year, compared with a clock that is looked at minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.core import DELAY_S, NOON, LaneHarness, make_playbook
from tests.support.generators import examples
from workers.core.decisioning.quiet_hours import ends_at, is_known
from workers.core.personalisation.processor import SPIN_S
from workers.core.playbook.policy import Policy, QuietHours

MINUTE_S = 60.0


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def shows_quiet(quiet: QuietHours, zone: str, at_s: float) -> bool:
    shown = datetime.fromtimestamp(at_s, UTC).astimezone(ZoneInfo(zone)).strftime("%H:%M")
    inside = quiet.start <= shown < quiet.end
    return inside if quiet.start < quiet.end else shown >= quiet.start or shown < quiet.end


def minute_by_minute(quiet: QuietHours, zone: str, now_s: float) -> float | None:
    """What somebody finds who looks at the clock at the beginning of each minute."""
    if not shows_quiet(quiet, zone, now_s):
        return None
    at_s = now_s // MINUTE_S * MINUTE_S + MINUTE_S
    while shows_quiet(quiet, zone, at_s):
        at_s += MINUTE_S
    return at_s


#: (zone, end, an instant in UTC of a night on which the clock is changed): ends in the hour that comes twice, or that is skipped.
NIGHTS = [
    ("America/New_York", "01:30", "2025-11-02T06:15"),
    ("America/New_York", "01:30", "2025-11-02T05:15"),
    ("America/New_York", "01:00", "2025-11-02T05:15"),
    ("America/New_York", "02:00", "2025-11-02T05:59"),
    ("America/New_York", "02:30", "2025-03-09T06:45"),
    ("Europe/Berlin", "02:30", "2025-10-26T01:15"),
    ("Europe/Berlin", "02:30", "2025-10-26T00:15"),
    ("Europe/Berlin", "02:30", "2025-03-30T00:30"),
    ("Europe/London", "01:30", "2025-10-26T01:15"),
    ("Europe/London", "01:30", "2025-03-30T00:15"),
    ("America/Santiago", "23:30", "2025-04-06T03:15"),
    ("America/Santiago", "00:30", "2025-09-07T03:30"),
    ("Australia/Lord_Howe", "01:45", "2025-04-05T15:05"),
    ("Australia/Lord_Howe", "02:15", "2025-10-04T15:20"),
    ("Pacific/Apia", "08:00", "2011-12-30T09:30"),
    ("Asia/Shanghai", "08:00", "2025-01-01T15:00"),
    ("America/Toronto", "02:15", "2025-03-09T06:45"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("zone", "end", "now"), NIGHTS)
@pytest.mark.parametrize("start", ["20:00", "22:00", "00:15", "03:15"])
def test_the_night_ends_when_the_clock_says_so(zone: str, end: str, now: str, start: str) -> None:
    quiet = QuietHours(start=start, end=end)
    for later in range(0, 26 * 60, 7):
        now_s = at(now) + later * MINUTE_S
        assert ends_at(quiet, zone, now_s) == minute_by_minute(quiet, zone, now_s)


_TIMES = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))
_ZONES = st.sampled_from(sorted({zone for zone, _, _ in NIGHTS} | {"UTC", "Africa/Casablanca", "America/Sao_Paulo"}))


@given(_TIMES, _TIMES, _ZONES, st.floats(at("2005-01-01"), at("2035-01-01")))
@settings(max_examples=examples(300))
def test_an_end_lies_ahead_and_outside(start: str, end: str, zone: str, now_s: float) -> None:
    quiet = QuietHours(start=start, end=end)
    found = ends_at(quiet, zone, now_s)
    assert found == (None if start == end else minute_by_minute(quiet, zone, now_s))
    if found is not None:
        assert found > now_s


@pytest.mark.parametrize("clock", ["wall", "event"])
def test_a_night_that_ends_in_the_hour_that_comes_twice_fires_once_and_leaves_others_alone(clock: str) -> None:
    policy = Policy(quiet_hours=QuietHours(start="22:00", end="01:30"))
    lane = LaneHarness(make_playbook(policy=policy), clock)
    began_s = at("2025-11-02T05:40")
    look = lane.event("Product Viewed", began_s, context={"timezone": "America/New_York"})
    lane.run([*lane.allow("push", at_s=began_s), look], began_s)
    lane.run([lane.add(at_s=began_s)], began_s)
    night_s = at("2025-11-02T06:15")
    if clock == "event":
        lane.run([lane.event("Product Viewed", night_s, user="bob")], night_s)
    effects = lane.run([], night_s)
    assert not effects.more_due
    assert lane.decisions == []
    assert lane.profile().timers["quiet|cart-abandonment|cart-1"] == at("2025-11-02T06:30")


def test_a_timer_that_sets_itself_to_the_past_does_not_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = Policy(quiet_hours=QuietHours(start="12:15", end="13:00", timezone="UTC"))
    lane = LaneHarness(make_playbook(policy=policy))
    due_s = NOON + DELAY_S
    monkeypatch.setattr("workers.core.decisioning.quiet_hours.ends_at", lambda *_: due_s - 600)
    lane.run([*lane.allow("push", at_s=NOON), lane.add(at_s=NOON)], NOON)
    effects = lane.run([], due_s)
    assert effects.tally["deferred", "cart-abandonment", "quiet_hours"] == 1
    assert not effects.more_due
    assert lane.profile().timers["quiet|cart-abandonment|cart-1"] == due_s + SPIN_S


@pytest.mark.parametrize(
    ("zone", "known"),
    [("Europe/Berlin", True), ("UTC", True), ("Mars/Base", False), ("", False), ("../etc/passwd", False)],
)
def test_a_zone_that_this_machine_does_not_have_is_not_known(zone: str, known: bool) -> None:
    assert is_known(zone) is known
