"""Every pattern takes time in proportion to its text: 20 kB of its worst in 50 ms of CPU time."""

from __future__ import annotations

import re

import pytest

from tests.fuzz import patterns
from tests.fuzz.patterns import Known
from tests.fuzz.worst import cpu_s, nested, worst
from tests.support.cpu_time import slowness

LIMIT_S = 0.050
#: Too slow once may be the machine; several times is the pattern.
TRIES = 3


def too_slow(known: Known) -> str:
    """What to tell of a pattern that is over the limit; "" = it is not."""
    found = worst(known)
    if found.cpu_s <= LIMIT_S or (best := cpu_s(found.ask, found.text, TRIES)) <= LIMIT_S * slowness():
        return ""
    return f"{known.name} ({found.method}): {1000 * best:.0f} ms for {found.shape!r} at {found.size} characters"


@pytest.mark.slow
def test_no_pattern_is_slow_on_the_worst_text_that_is_found_for_it() -> None:
    assert len(patterns.known()) > 1_000
    assert list(filter(None, map(too_slow, patterns.known()))) == []


@pytest.mark.slow
def test_no_pattern_repeats_what_repeats_itself() -> None:
    assert [known.name for known in patterns.known() if nested(known.pattern)] == []


def test_every_place_that_builds_a_pattern_is_known() -> None:
    assert patterns.builders() == patterns.BUILDERS


@pytest.mark.slow
@pytest.mark.parametrize(
    "source",
    [
        r"^\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*$",
        r"(?m)^\s*(?:system|user)\s*[:：]",
        r"[A-Za-z]\w*[а-я]",
        r"track\w*[^,.;!?]{0,24}\b(?:cycling)\b",
        r"(?:[a-z][\w-]*\.)*[a-z][\w-]*\.com\b",
        r"\d+\s*%",
    ],
)
def test_the_search_finds_what_a_slow_pattern_is_slow_on(source: str) -> None:
    assert too_slow(Known(name=source, pattern=re.compile(source), methods=("search",)))


@pytest.mark.parametrize("source", [r"(a+)+", r"(?:a*)*b", r"(?:\d+|[0-9]*)+x", r"(?:(?:a+)){2,}", r"(?:a?b*)+"])
def test_a_repetition_of_a_repetition_is_seen(source: str) -> None:
    assert nested(re.compile(source))


@pytest.mark.parametrize("source", [r"(?:a+,)+", r"(?:your |every )*", r"(?:,\d{3})+", r"(?:a++)+", r"a*b*"])
def test_what_has_an_end_within_is_no_such_repetition(source: str) -> None:
    assert not nested(re.compile(source))
