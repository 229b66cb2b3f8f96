"""Every promise of the documentation names a test that there is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "promises.md").read_text()


def test_every_promise_names_a_test_that_there_is() -> None:
    promised = PAGE[PAGE.index("## Promised") : PAGE.index("## Not promised")]
    rows = [line.strip("|").split("|") for line in promised.splitlines() if line.startswith("| ")][2:]
    assert len(rows) > 15
    for promise, test, without in rows:
        for cell in filter(str.strip, (test, without)):
            named = re.fullmatch(r"`(tests/\S+\.py)::(test_\w+)`", cell.strip())
            assert named, f"{promise}: {cell}"
            tree = ast.parse((ROOT / named[1]).read_text())
            assert named[2] in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, cell
