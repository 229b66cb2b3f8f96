"""Extracts the reason from the log of a broker that failed to start, without its stack frames."""

from __future__ import annotations

from pathlib import Path

TAIL_BYTES = 64 * 1024


def log_size(path: Path) -> int:
    """Returns the current size of the file [bytes]; 0 if it does not exist. Call it before a start, so that lines of older starts
    are not quoted.
    """
    return path.stat().st_size if path.exists() else 0


def last_lines(path: Path, since: int = 0, count: int = 12) -> list[str]:
    """Returns the last `count` lines written after byte `since`, without stack frames and repetitions; empty if none.

    A file that is shorter than `since` was rolled over: it is read from its beginning.
    """
    if not path.exists():
        return []
    with path.open("rb") as file:
        size = file.seek(0, 2)
        start = since if since <= size else 0
        file.seek(max(start, size - TAIL_BYTES))
        text = file.read().decode(errors="replace")
    lines = dict.fromkeys(line.rstrip() for line in text.splitlines())
    return [line for line in lines if line and not line.lstrip().startswith(("at ", "... "))][-count:]
