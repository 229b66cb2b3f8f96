"""Ages and birthdays as forms and systems write them: a known minor hears nothing personal, and is never forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support_core import NOON, LaneHarness
from workers.core import ages, consent
from workers.core.profile import MAX_TRAITS, Profile
from workers.ports import Record

YEAR_S = 365.25 * 86_400


def identify(lane: LaneHarness, **traits: Any) -> Record:
    return lane.raw({"type": "identify", "traits": traits})


def may_personalise(*told: dict[str, Any], later_s: float = 0.0) -> bool:
    """Whether a customer (in March 2024) may be spoken to personally after these words."""
    lane = LaneHarness()
    for number, traits in enumerate(told):
        lane.run([lane.raw({"type": "identify", "traits": traits}, NOON + number)], NOON + number)
    return consent.may_personalise(lane.profile(), NOON + later_s)


@pytest.mark.parametrize(
    "traits",
    [
        {"age": 17},
        {"age": "17"},
        {"age": "17.0"},
        {"Age": 15},
        {"AGE": " 12 "},
        {"customer_age": 9},
        {"birthday": "2012-05-01"},
        {"birthday": "2012/05/01"},
        {"birthday": "03.02.2015"},
        {"birthday": "2012-05-01T00:00:00Z"},
        {"dob": "2012-05-01"},
        {"birthdate": "May 1, 2012"},
        {"date_of_birth": "01/05/2012"},
        {"dateOfBirth": "20120501"},
        {"birthday": 1_335_830_400},
        {"birthday": 1_335_830_400_000},
        {"profile": {"birthday": "2012-05-01"}},
        {"生日": "2012年5月1日"},
        {"age": "17 years"},
        {"age": "13-17"},
        {"age": "under 18"},
        {"age": ["15"]},
        {"age": 2012},
        {"age_group": "<18"},
        {"birth_year": 2015},
        {"customerBirthday": "2015-01-01"},
        {"user_dob": "2015"},
        {"birthday": "05/2015"},
        {"birthday": "May 2015"},
        {"birthday": "2015-02-30"},
        {"Geburtsdatum": "1. Mai 2015"},
        {"age": 15, "customer_age": 40},
    ],
)
def test_a_minor_is_known_however_the_age_is_told(traits: dict[str, Any]) -> None:
    lane = LaneHarness()
    value = lane.raw({"type": "identify", "traits": _flat(traits)})
    lane.run([value])
    assert not consent.may_personalise(lane.profile(), NOON)


def _flat(traits: dict[str, Any]) -> dict[str, Any]:
    from workers.core.intake import commerce

    return commerce.traits(traits)


@pytest.mark.parametrize(
    "traits",
    [
        {"age": 18},
        {"age": "25"},
        {"birthday": "1990-05-05"},
        {"birthday": "2006-03-04"},
        {"dob": 641_865_600},
        {"birthday": -86_400 * 365 * 20},
        {"age": "unknown"},
        {"age": 1980},
        {"age": True},
        {"birthday": 10**400},
        {"age": 10**400},
        {"birthday": "-" * 4_000},
        {"birthday": ""},
        {"page": 3},
    ],
)
def test_who_is_of_age_or_tells_nothing_is_no_minor(traits: dict[str, Any]) -> None:
    assert may_personalise(traits)


def test_a_birthday_that_is_taken_back_leaves_a_minor_a_minor() -> None:
    assert not may_personalise({"birthday": "2015-01-01"}, {"birthday": None})
    assert not may_personalise({"age": 15}, {"age": None})
    assert not may_personalise({"age": 15}, {"age": ""})


def test_a_birthday_that_is_corrected_counts() -> None:
    assert may_personalise({"birthday": "2015-01-01"}, {"birthday": "1985-01-01"})
    assert not may_personalise({"birthday": "1985-01-01"}, {"birthday": "2015-01-01"})


def test_the_newest_word_on_an_age_holds_whatever_order_they_arrive_in() -> None:
    lane = LaneHarness()
    lane.run([lane.raw({"type": "identify", "traits": {"age": 15}}, NOON)])
    lane.run([lane.raw({"type": "identify", "traits": {"age": 40}}, NOON - 1_000)])
    assert not consent.may_personalise(lane.profile(), NOON)


def test_of_an_age_and_a_birthday_that_disagree_the_younger_holds() -> None:
    assert not may_personalise({"birthday": "2015-01-01"}, {"age": 40})


def test_a_minor_comes_of_age() -> None:
    assert not may_personalise({"age": 17}, later_s=0.9 * YEAR_S)
    assert may_personalise({"birthday": "2006-03-05"}, later_s=2 * 86_400)


def test_an_age_is_kept_when_there_is_room_for_no_more_traits() -> None:
    lane = LaneHarness()
    lane.run([identify(lane, **{f"trait{number}": number for number in range(MAX_TRAITS + 9)})])
    lane.run([identify(lane, age=15)])
    assert lane.profile().traits["age"] == 15
    assert len(lane.profile().traits) == MAX_TRAITS
    assert not consent.may_personalise(lane.profile(), NOON)


def test_a_profile_of_before_knows_its_minors() -> None:
    assert not consent.may_personalise(Profile(customer_id="u", traits={"Birthday": "2012/05/01"}), NOON)


@pytest.mark.parametrize(("value", "group"), [("25", "young"), (25, "young"), ("40", "young"), ("45 years", "young")])
def test_a_number_that_came_as_text_is_a_number_for_rules(value: object, group: str) -> None:
    lane = LaneHarness()
    lane.run([identify(lane, age=value)])
    assert lane.profile().target_group == group


def test_the_trait_s_name_decides() -> None:
    assert [ages.kind(name) for name in ("age", "Date of Birth", "mileage", "agent")] == ["age", "birthday", None, None]
