"""Ages and birthdays as forms and systems write them: a known minor hears nothing personal, and is never forgotten."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.core import NOON, LaneHarness
from workers.core.profile import ages, consent
from workers.core.profile.model import MAX_TRAITS, Profile
from workers.core.stream.records import Record

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
    from workers.core.intake.canonical import commerce

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


# -- the day itself ------------------------------------------------------------------------------------------------------

DAY = 86_400.0


def at(day: str) -> float:
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("birthday", "eighteenth"),
    [
        ("2006-03-04", "2024-03-04"),
        ("2006-12-31", "2024-12-31"),
        ("2006-01-01", "2024-01-01"),
        ("2004-02-29", "2022-03-01"),  # no such day in that year
        ("2006-02-28", "2024-02-28"),
        ("2006-03-01", "2024-03-01"),
    ],
)
@pytest.mark.parametrize("kept_as", ["fact", "trait"])
def test_a_minor_is_one_until_the_eighteenth_birthday_begins(birthday: str, eighteenth: str, kept_as: str) -> None:
    for second, grown_up in ((-DAY, False), (-0.001, False), (0.0, True), (DAY - 1, True)):
        now_s = at(eighteenth) + second
        told = {"birthday": birthday}
        profile = Profile(customer_id="u", traits=dict(told))
        if kept_as == "fact":
            adult_at = ages.adult_at("birthday", birthday, now_s)
            assert adult_at == at(eighteenth)
            profile = Profile(customer_id="u", adult_at={"birthday": (now_s, adult_at)})
        assert consent.may_personalise(profile, now_s) is grown_up, second


@pytest.mark.parametrize(
    ("age", "years_left"), [(17, 1.0), (17.5, 0.5), ("17.99", 0.01), (18, None), (0, 18.0), (130, None)]
)
def test_an_age_says_when_somebody_comes_of_age_at_the_latest(age: object, years_left: float | None) -> None:
    found = ages.adult_at("age", age, NOON)  # type: ignore[arg-type] # as any trait
    assert found == (0.0 if years_left is None else pytest.approx(NOON + years_left * YEAR_S))


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("age", 131, False),  # neither an age nor a year
        ("age", -1, False),
        ("age", 2012, True),  # a year of birth
        ("age", "13-17", True),
        ("age", "x" * 64 + "17", False),  # beyond what is looked at
        ("age", "x" * 63 + "7", True),
        ("age", [None, 17], True),
        ("age", ["x"] * 20 + ["17"], False),
        ("age", ["x"] * 19 + ["17"], True),
        ("age", [], False),
        ("birthday", False, False),
        ("page", 17, False),
        ("user.profile.age", 17, True),
        ("birthday", "some time in 2012 or 2015", True),
        ("birthday", "x" * 64 + "2015", False),
    ],
)
def test_what_tells_an_age_at_all(name: str, value: Any, *, told: bool) -> None:
    assert (ages.adult_at(name, value, NOON) is not None) is told
    assert ages.is_minor({name: value}, NOON) is told


@pytest.mark.parametrize(
    ("value", "years"),
    [
        ("under 18", 17),
        ("18", 18),
        ("< 18", 17),
        ("below 16", 15),
        ("13-17", 13),
        ("younger than 14", 13),
        ("18以下", 17),
    ],
)
def test_of_an_age_in_words_the_youngest_counts(value: str, years: int) -> None:
    found = ages.adult_at("age", value, NOON)
    assert found == (pytest.approx(NOON + (18 - years) * YEAR_S) if years < 18 else 0.0)


def test_of_several_years_the_latest_and_of_several_ages_the_youngest() -> None:
    assert ages.adult_at("birthday", "2012 or 2015", NOON) == at("2033-12-31")
    assert ages.adult_at("age", ["40", "15", "16"], NOON) == pytest.approx(NOON + 3 * YEAR_S)
    assert ages.is_minor({"birthday": "1990-01-01", "age": "15"}, NOON)
    assert not ages.is_minor({"birthday": "1990-01-01", "plan": "15"}, NOON)
    assert ages.adult_at("age", "born in 1980", NOON) == at("1998-12-31"), "a year is no age, nor are its digits"
