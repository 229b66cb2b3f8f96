"""Prints the table of the fault suite: each case with the injected fault and the result, stored as one file per case.

`python -m tests.faults.table` prints it; `--full` prints that of the full form, `--write` writes it to docs/faults.md.
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
    """One case. `lost`: events missing in the profiles, or requests without an outcome; `duplicated`: IDs that occur twice in an
    output topic; `differences`: customers whose profile differs from the oracle, or other deviations; `recovery_s`: from the end
    of the last fault to normal operation, None if nothing was interrupted.
    """

    case: str
    injected: str
    lost: int
    duplicated: int
    differences: int
    recovery_s: float | None = None


class Cases:
    """The results of one test file at one version of the code, short or full form. Several processes may write concurrently."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def of(cls, test_file: Path, *, full: bool) -> Self:
        return cls(RESULTS / f"{'full' if full else 'short'}-{test_file.stem}-{code_version(test_file)}")

    def passed(self, name: str, row: Row) -> None:
        """Stores the row of a case. Raises AssertionError if it is not clean."""
        assert (row.lost, row.duplicated, row.differences) == (0, 0, 0), row
        self._put(f"{name}.row.json", msgspec.json.encode(row))

    def unprotected(self, name: str, verdict: str) -> None:
        """Stores the result of the case with its protection switched off, as text."""
        self._put(f"{name}.unprotected.txt", verdict.encode())

    def has_passed(self, test: str) -> None:
        self._put(f"{_digest(test)}.passed", test.encode())

    def has_run(self, test: str) -> bool:
        return (self._folder / f"{_digest(test)}.passed").exists()

    def rows(self) -> list[tuple[Row, str]]:
        """Returns every row in the order of the file names, with the verdict of its unprotected run ("" = none)."""
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
    """Returns the rows as a Markdown table."""
    lines = [f"| {' | '.join(_COLUMNS)} |", f"|{' --- |' * len(_COLUMNS)}"]
    for row, verdict in rows:
        recovery = "–" if row.recovery_s is None else f"{row.recovery_s:.1f} s"
        counts = f"{row.lost} | {row.duplicated} | {row.differences}"
        lines.append(f"| {row.case} | {row.injected} | {counts} | {recovery} | {verdict or '–'} |")
    return "\n".join(lines) + "\n"


@cache
def code_version(test_file: Path) -> str:
    """Returns a hash of everything that the results of a test file depend on: the product, its schemas, its broker, the shared
    code of the fault tests, and the file itself. A new file does not affect the results of the others.
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
    options = parser.parse_args()
    files = sorted(FAULTS.glob("test_*.py"))
    rows = [row for file in files for row in Cases.of(file, full=options.full).rows()]
    table = as_markdown(rows)
    sys.stdout.write(table)
    if not rows:
        sys.exit("no case has passed in this form")
    if options.write:
        _write(table, full=options.full)


def _write(table: str, *, full: bool) -> None:
    """Writes the table of this form and its date between its two markers on the page."""
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
