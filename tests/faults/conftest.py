"""Records for every fault test that it passed, and its row of the table. `make faults` resumes where it stopped."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

from tests.faults.table import FAULTS, Cases
from tests.support.faults import FULL

#: `FAULTS_RESUME=1`: tests that have passed with this version of the code are not run again.
RESUME = os.environ.get("FAULTS_RESUME") == "1"


@pytest.fixture(scope="module")
def cases(request: pytest.FixtureRequest) -> Cases:
    """The results, to which a case adds its row once all its checks pass: `cases.passed(...)`, `cases.unprotected(...)`."""
    return Cases.of(request.path, full=FULL)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselects tests that have already passed, if FAULTS_RESUME is set."""
    if not RESUME:
        return
    done = [item for item in items if _is_ours(item) and Cases.of(item.path, full=FULL).has_run(item.nodeid)]
    if done:
        config.hook.pytest_deselected(items=done)
        items[:] = [item for item in items if item not in done]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Records each test of this folder that has passed."""
    report = yield
    if report.when == "call" and report.passed and _is_ours(item):
        Cases.of(item.path, full=FULL).has_passed(item.nodeid)
    return report


def _is_ours(item: pytest.Item) -> bool:
    return item.path.is_relative_to(FAULTS)
