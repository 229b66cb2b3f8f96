"""The table of the fault suite: each case with what was done to it and what was found, kept as one file a case.

`python -m tests.faults.table` prints it; `--full` the long form's, `--write` keeps it in docs/faults.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Self

import msgspec

ROOT = Path(__file__).resolve().parents[2]
FAULTS = ROOT / "tests" / "faults"
RESULTS = ROOT / ".cache" / "faults"
PAGE = ROOT / "docs" / "faults.md"
_COLUMNS = ("case", "injected", "lost", "duplicated", "differences", "recovery", "with its protection off")


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One case. `lost`: events that no profile has, or requests without an outcome; `duplicated`: ids seen twice in an
    output topic; `differences`: customers whose profile is not the oracle's, or what else is not as it should be;
    `recovery_s`: from the end of the last fault to normal service, None where nothing stood still.
    """

    case: str
    injected: str
    lost: int
    duplicated: int
    differences: int
    recovery_s: float | None = None


class Cases:
    """The results of one test file at one version of the code, short or full form. Two processes may write at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def of(cls, test_file: Path, *, full: bool) -> Self:
        return cls(RESULTS / f"{'full' if full else 'short'}-{test_file.stem}-{code_version(test_file)}")

    def passed(self, name: str, row: Row) -> None:
        """Keeps the row of a case. Raises AssertionError when it isn't clean: no such row is kept."""
        assert (row.lost, row.duplicated, row.differences) == (0, 0, 0), row
        self._put(f"{name}.row.json", msgspec.json.encode(row))

    def unprotected(self, name: str, verdict: str) -> None:
        """Keeps in words what the case found when its protection was off."""
        self._put(f"{name}.unprotected.txt", verdict.encode())

    def has_passed(self, test: str) -> None:
        self._put(f"{_digest(test)}.passed", test.encode())

    def has_run(self, test: str) -> bool:
        return (self._folder / f"{_digest(test)}.passed").exists()

    def rows(self) -> list[tuple[Row, str]]:
        """Every row in the order of the files' names, with the verdict of its unprotected run ("" = it has none)."""
        found = []
        for path in sorted(self._folder.glob("*.row.json")):
            verdict = path.with_name(path.name.replace(".row.json", ".unprotected.txt"))
            row = msgspec.json.decode(path.read_bytes(), type=Row)
            found.append((row, verdict.read_text() if verdict.exists() else ""))
        return found

    def _put(self, name: str, content: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._folder / f"{name}.{os.getpid()}.part"
        part.write_bytes(content)
        part.rename(self._folder / name)


def as_markdown(rows: list[tuple[Row, str]]) -> str:
    """The rows as a table of Markdown."""
    lines = [f"| {' | '.join(_COLUMNS)} |", f"|{' --- |' * len(_COLUMNS)}"]
    for row, verdict in rows:
        recovery = "–" if row.recovery_s is None else f"{row.recovery_s:.1f} s"
        counts = f"{row.lost} | {row.duplicated} | {row.differences}"
        lines.append(f"| {row.case} | {row.injected} | {counts} | {recovery} | {verdict or '–'} |")
    return "\n".join(lines) + "\n"


@cache
def code_version(test_file: Path) -> str:
    """Names everything that the results of a test file depend on: the product, its schemas, its broker, what all fault
    tests share, and the file itself. A new file leaves the results of the others as they are.
    """
    digest = sha256()
    folders = [ROOT / name for name in ("workers", "schemas", "infra/kafka", "playbooks")]
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in (".py", ".yaml", ".txt")]
    shared = [path for path in FAULTS.glob("*.py") if not path.name.startswith("test_")]
    for path in sorted([*files, *shared, *(ROOT / "tests" / "support").glob("*.py"), test_file.resolve()]):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    files = sorted(FAULTS.glob("test_*.py"))
    rows = [row for file in files for row in Cases.of(file, full=asked.full).rows()]
    table = as_markdown(rows)
    sys.stdout.write(table)
    if not rows:
        sys.exit("no case has passed in this form")
    if asked.write:
        _write(table, full=asked.full)


def _write(table: str, *, full: bool) -> None:
    """Puts the table of this form and its date between its two marks of the page."""
    form = "full" if full else "short"
    page, first, last = PAGE.read_text(), f"<!-- {form} table -->\n", f"<!-- end of {form} table -->"
    head, _, rest = page.partition(first)
    _, _, tail = rest.partition(last)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    made = f"{datetime.now(UTC):%Y-%m-%d}, {form} form, {machine}, at commit `{commit.stdout.strip() or 'unknown'}`"
    PAGE.write_text(f"{head}{first}{made}\n\n{table}{last}{tail}")


def _digest(test: str) -> str:
    return sha256(test.encode()).hexdigest()[:16]


if __name__ == "__main__":
    main()
