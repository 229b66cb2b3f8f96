"""Every promise of the documentation names a test that there is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "promises.md").read_text()


def test_every_promise_names_a_test_that_there_is() -> None:
    promised = PAGE[PAGE.index("## Promised") : PAGE.index("## Not promised")]
    rows = [line.strip("|").split("|") for line in promised.splitlines() if line.startswith("| ")][2:]
    assert len(rows) > 15
    for promise, test, without in rows:
        for cell in filter(str.strip, (test, without)):
            assert is_a_test(cell.strip()), f"{promise}: {cell}"


STRANGERS = (ROOT / "docs" / "strangers.md").read_text()
ROWS = [
    line for line in STRANGERS[: STRANGERS.index("## Open")].splitlines() if "tests/" in line and line.startswith("|")
]


def test_the_page_about_strangers_has_its_rows() -> None:
    assert len(ROWS) > 60


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("::")[-1].strip("` |"))
def test_what_becomes_of_what_strangers_send_is_tested(row: str) -> None:
    assert is_a_test(row.rstrip("| ").rpartition("|")[2].strip())


FAULTS = (ROOT / "docs" / "faults.md").read_text()
DECISIONS = [
    line for line in FAULTS[FAULTS.index("## Time, order") :].splitlines() if "tests/" in line and line[0] == "|"
]


def test_the_table_of_decisions_has_its_rows() -> None:
    assert len(DECISIONS) > 15


@pytest.mark.parametrize("row", DECISIONS, ids=lambda row: row.split("::")[-1].strip("` |"))
def test_what_became_of_wrong_decisions_is_tested(row: str) -> None:
    assert is_a_test(row.rstrip("| ").rpartition("|")[2].strip())


def is_a_test(cell: str) -> bool:
    """Whether `tests/....py::test_...` in backquotes is a test that there is."""
    named = re.fullmatch(r"`(tests/\S+\.py)::(test_\w+)`", cell)
    if named is None or not (ROOT / named[1]).exists():
        return False
    tree = ast.parse((ROOT / named[1]).read_text())
    return named[2] in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
