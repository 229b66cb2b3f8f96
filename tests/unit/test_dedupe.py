"""Which events are recognised when they come again, and for how long."""

from __future__ import annotations

import random

import pytest

from workers.core.profile.dedupe import HOT_IDS, KEEP_HOURS, PAGE_IDS, forget_and_spill, hour_of, is_duplicate
from workers.core.profile.model import Profile

HOUR = 3600.0
NOON = 1_709_553_600.0


class Seen:
    """A customer and the pages of the store."""

    def __init__(self) -> None:
        self.profile = Profile(customer_id="u")
        self.pages: dict[int, list[int]] = {}

    def again(self, event_id: str, at_s: float) -> bool:
        return is_duplicate(self.profile, event_id, at_s, lambda hour: self.pages[hour])

    def spill(self, clock_s: float) -> dict[int, list[int]]:
        spilled = forget_and_spill(self.profile, clock_s)
        for hour, ids in spilled.items():
            self.pages.setdefault(hour, []).extend(ids)
        return spilled


def test_what_the_docs_promise() -> None:
    assert (KEEP_HOURS, PAGE_IDS) == (7 * 24, 20_000)


def test_an_event_comes_again_in_its_hour_and_no_other() -> None:
    seen = Seen()
    assert [seen.again("m", NOON), seen.again("m", NOON), seen.again("m", NOON + HOUR - 1)] == [False, True, True]
    assert [seen.again("m", NOON + HOUR), seen.again("m", NOON - 1), seen.again("n", NOON)] == [False, False, False]
    assert hour_of(NOON - 1) == hour_of(NOON) - 1


def test_what_was_spilled_is_recognised_from_its_page() -> None:
    seen = Seen()
    for number in range(HOT_IDS):
        assert not seen.again(f"m{number}", NOON + number * HOUR)
    assert seen.spill(NOON + HOT_IDS * HOUR) == {}, "so many are kept hot"
    seen.again("one more", NOON + HOT_IDS * HOUR)
    spilled = seen.spill(NOON + HOT_IDS * HOUR)
    assert sum(map(len, seen.profile.seen.values())) == HOT_IDS // 2
    assert sorted(spilled) == [hour_of(NOON) + number for number in range(HOT_IDS // 2 + 1)], "the oldest leave"
    assert seen.profile.spilled == sorted(spilled)
    assert all(seen.again(f"m{number}", NOON + number * HOUR) for number in range(HOT_IDS))
    assert not seen.again("other", NOON), "a new id in a spilled hour"
    assert seen.again("other", NOON)


def test_an_hour_may_be_spilled_twice() -> None:
    seen = Seen()
    for batch in range(2):
        for number in range(HOT_IDS + 1):
            assert not seen.again(f"{batch}-{number}", NOON)
        assert list(seen.spill(NOON)) == [hour_of(NOON)]
    assert seen.profile.spilled == [hour_of(NOON)]
    assert all(seen.again(f"{batch}-{number}", NOON) for batch in range(2) for number in range(HOT_IDS + 1))


@pytest.mark.parametrize(("hours", "known"), [(KEEP_HOURS, True), (KEEP_HOURS + 1, False)])
@pytest.mark.parametrize("hot", [True, False])
def test_ids_are_forgotten_after_a_week(hours: int, *, known: bool, hot: bool) -> None:
    seen = Seen()
    for number in range(1 if hot else HOT_IDS + 1):
        seen.again(f"m{number}", NOON)
    seen.spill(NOON)
    assert (hour_of(NOON) in seen.profile.seen, seen.profile.spilled) == (hot, [] if hot else [hour_of(NOON)])
    seen.again("newest", NOON + hours * HOUR)
    seen.spill(NOON + hours * HOUR)
    assert (hour_of(NOON) in [*seen.profile.seen, *seen.profile.spilled]) is known
    assert seen.again("m0", NOON) is known


def test_of_several_spilled_hours_only_the_old_are_forgotten() -> None:
    seen = Seen()
    for hour in (0, 1, 2):
        for number in range(HOT_IDS + 1):
            seen.again(f"{hour}-{number}", NOON + hour * HOUR)
        seen.spill(NOON + hour * HOUR)
    seen.spill(NOON + (KEEP_HOURS + 1) * HOUR)
    assert seen.profile.spilled == [hour_of(NOON) + 1, hour_of(NOON) + 2]


def test_against_a_set_that_remembers_everything() -> None:
    rng, seen, oracle = random.Random(5), Seen(), set[tuple[str, int]]()
    for step in range(3_000):
        at_s = NOON + rng.uniform(-48, 0) * HOUR
        event = (f"m{rng.randrange(60)}", hour_of(at_s))
        assert seen.again(event[0], at_s) is (event in oracle), step
        oracle.add(event)
        if step % 7 == 0:
            seen.spill(NOON)
    assert len(oracle) > 1_000
    assert len(seen.profile.spilled) > 5, "pages were in play"
