"""Determines whether a customer is a minor, from the age or birthday traits of forms and source systems."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import lru_cache

from schemas import moments
from schemas.base import TraitValue
from schemas.names import normal
from schemas.numerals import number

ADULT_YEARS = 18
_YEAR_S = 365.25 * 86_400.0
#: A number above this is not an age but a year of birth or a placeholder.
_OLDEST = 130
#: Normalised trait names.
_AGE = frozenset({"age", "customerage", "userage", "ageyears", "ageinyears", "agegroup", "agerange", "年龄"})
_BIRTHDAY = frozenset(
    {"bday", "birthdt", "geburtstag", "geburtsdatum", "datenaissance", "fechanacimiento", "生日", "出生日期"}
)
_BIRTHDAY_ENDS = ("birthday", "birthdate", "dateofbirth", "birthyear", "yearofbirth", "dob", "datedenaissance")
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
_NUMBERS = re.compile(r"\d{1,3}(?:\.\d{1,2})?")
_BELOW = re.compile(r"under|below|<|younger|以下")
#: Only this much of a text is parsed [characters].
_LONGEST = 64


def is_age_trait(name: str) -> bool:
    """Returns whether a trait of this name holds an age or a birthday."""
    return kind(name) is not None


@lru_cache(maxsize=4096)
def kind(name: str) -> str | None:
    """Returns `age` or `birthday` for a trait that holds one of them; None for any other.

    >>> kind("Date_of_Birth"), kind("profile.Age"), kind("page")
    ('birthday', 'age', None)
    """
    spelt = normal(name.rpartition(".")[2])
    if spelt in _AGE:
        return "age"
    return "birthday" if spelt in _BIRTHDAY or spelt.endswith(_BIRTHDAY_ENDS) else None


def adult_at(name: str, value: TraitValue, stated_s: float) -> float | None:
    """Returns when a customer with this trait, stated at `stated_s`, is certainly an adult [s since the epoch]; None = unknown.

    If a text or a list holds several ages, the youngest counts.

    >>> adult_at("age", "17.0", 0.0) == 365.25 * 86_400, adult_at("Age", 40, 0.0) == 0.0
    (True, True)
    >>> datetime.fromtimestamp(adult_at("birthday", "2012/05/01", 0.0), UTC).date().isoformat()
    '2030-05-01'
    >>> adult_at("birthday", "unknown", 0.0) is None, adult_at("age", None, 0.0) is None
    (True, True)
    """
    trait_kind = kind(name)
    if trait_kind is None or isinstance(value, bool) or value is None:
        return None
    if isinstance(value, list):
        found = [at_s for item in value[:20] if (at_s := adult_at(name, item, stated_s)) is not None]
        return max(found, default=None)
    if trait_kind == "age" and (years := _years(value)) is not None:
        return stated_s + (ADULT_YEARS - years) * _YEAR_S if years < ADULT_YEARS else 0.0
    born = _born(value)
    if born is None:
        return None
    month, day = (3, 1) if (born.month, born.day) == (2, 29) else (born.month, born.day)
    return datetime(born.year + ADULT_YEARS, month, day, tzinfo=UTC).timestamp()


def is_minor(traits: Mapping[str, TraitValue], now_s: float) -> bool:
    """Returns whether any trait shows a minor as of now: for profiles stored before `adult_at` existed."""
    return any((at_s := adult_at(name, value, now_s)) is not None and at_s > now_s for name, value in traits.items())


def _years(value: str | float) -> float | None:
    """Returns an age, the smallest if there are several (`13-17`, `under 18`); None if it is not an age."""
    years = number(value)
    if years is None and isinstance(value, str):
        text = value[:_LONGEST].casefold()
        years = min(map(float, _NUMBERS.findall(text)), default=None) if not _YEAR.search(text) else None
        if years is not None and _BELOW.search(text):
            years -= 1
    return years if years is not None and 0 <= years <= _OLDEST else None


def _born(value: str | float) -> date | None:
    """Returns a date of birth; for a text that is not a date, the end of the latest year in it (the younger person)."""
    found = moments.date(value)
    if found is None and isinstance(value, str) and (years := _YEAR.findall(value[:_LONGEST])):
        found = date(max(map(int, years)), 12, 31)
    return found
