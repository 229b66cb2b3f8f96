"""What every fault test leaves behind: that it passed, and its row of the table. `make faults` goes on where it ended."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

from tests.faults.table import Cases, code_version
from tests.support_faults import FULL

#: `ATTUNE_FAULTS_RESUME=1`: what has passed with this very code is not run again.
RESUME = os.environ.pop("ATTUNE_FAULTS_RESUME", "") == "1"


@pytest.fixture(scope="session")
def cases() -> Cases:
    """Where a case's row is put when all of its claims have held: `cases.passed(...)`, `cases.unprotected(...)`."""
    return Cases.at(code_version(), full=FULL)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what has passed already, where that is asked for."""
    if not RESUME:
        return
    known = Cases.at(code_version(), full=FULL)
    done = [item for item in items if known.has_run(item.nodeid)]
    if done:
        config.hook.pytest_deselected(items=done)
        items[:] = [item for item in items if not known.has_run(item.nodeid)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remembers each test of this folder that has passed."""
    report = yield
    if report.when == "call" and report.passed and "tests/faults/" in item.nodeid:
        Cases.at(code_version(), full=FULL).has_passed(item.nodeid)
    return report
