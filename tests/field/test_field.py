"""Runs the table. No row is expected to fail."""

from __future__ import annotations

import re

import pytest

from tests.field import claims, feedback, mail, models, profiles, shops
from tests.field.case import Case, found_at
from tests.field.pending import PENDING

THEMES = (shops, profiles, feedback, models, mail, claims)
CASES = [case for theme in THEMES for case in theme.CASES]
_SOURCE = re.compile(r"[\w.-]+/[\w.-]+#\d+|spec: .{4,}")


@pytest.mark.parametrize("case", [case for case in CASES if case.id not in PENDING], ids=lambda case: case.id)
def test_what_strangers_send_is_read_as_they_mean_it(case: Case) -> None:
    told = case.way(case.given)
    assert {path: found_at(told, path) for path in case.right} == dict(case.right), told


def test_each_row_has_a_name_of_its_own_says_where_it_was_met_and_promises_something() -> None:
    assert len({case.id for case in CASES}) == len(CASES)
    assert [case.id for case in CASES if not _SOURCE.fullmatch(case.source)] == []
    assert [case.id for case in CASES if not case.right] == []
    assert {case.id for case in CASES} >= PENDING


def test_most_rows_come_from_trackers_of_issues() -> None:
    assert sum(not case.source.startswith("spec:") for case in CASES) >= 60
