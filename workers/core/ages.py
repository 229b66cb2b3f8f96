"""Whether a customer is a minor, from what forms and systems call an age or a birthday."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

from schemas import moments
from schemas.base import TraitValue
from schemas.names import normal
from schemas.numerals import number

ADULT_YEARS = 18
_YEAR_S = 365.25 * 86_400.0
#: An age above this is none: a year of birth, or what a form fills in.
_OLDEST = 130
_AGE = frozenset({"age", "customerage", "userage", "ageyears", "年龄"})
_BIRTHDAY = frozenset({"birthday", "birthdate", "dateofbirth", "dob", "bday", "birthdt", "生日", "出生日期"})


def tells_age(name: str) -> bool:
    """Whether a trait of this name tells how old somebody is."""
    return kind(name) is not None


@lru_cache(maxsize=4096)
def kind(name: str) -> str | None:
    """`age` or `birthday` for a trait that tells one of them; None for any other.

    >>> kind("Date_of_Birth"), kind("profile.Age"), kind("page")
    ('birthday', 'age', None)
    """
    spelt = normal(name.rpartition(".")[2])
    return "age" if spelt in _AGE else "birthday" if spelt in _BIRTHDAY else None


def adult_at(name: str, value: TraitValue, said_s: float) -> float | None:
    """When somebody is certainly of age who said this at `said_s` [s since the epoch]; None = it tells nothing.

    >>> adult_at("age", "17.0", 0.0) == 365.25 * 86_400, adult_at("Age", 40, 0.0) == 0.0
    (True, True)
    >>> datetime.fromtimestamp(adult_at("birthday", "2012/05/01", 0.0), UTC).date().isoformat()
    '2030-05-01'
    >>> adult_at("birthday", "unknown", 0.0) is None, adult_at("age", None, 0.0) is None
    (True, True)
    """
    told = kind(name)
    if told is None or isinstance(value, bool | list) or value is None:
        return None
    if told == "age":
        years = number(value)
        if years is None or not 0 <= years <= _OLDEST:
            return None
        return said_s + (ADULT_YEARS - years) * _YEAR_S if years < ADULT_YEARS else 0.0
    born = moments.date(value)
    if born is None:
        return None
    month, day = (3, 1) if (born.month, born.day) == (2, 29) else (born.month, born.day)
    return datetime(born.year + ADULT_YEARS, month, day, tzinfo=UTC).timestamp()


def is_minor(traits: Mapping[str, TraitValue], now_s: float) -> bool:
    """Whether any trait says so, as of now: of profiles that were kept before ages had a place of their own."""
    return any((at_s := adult_at(name, value, now_s)) is not None and at_s > now_s for name, value in traits.items())
