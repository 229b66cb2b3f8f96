"""Named places where a test can make the process die, to prove what survives. Inert unless ATTUNE_FAILPOINTS is set.

`ATTUNE_FAILPOINTS=lane.before_commit=3` ends the process hard (no clean-up, exit code 99) at the third hit.
"""

from __future__ import annotations

import os
from collections import Counter

EXIT_CODE = 99


def _parse(text: str) -> dict[str, int]:
    pairs = (part.partition("=") for part in text.split(",") if part)
    return {name.strip(): int(number or 1) for name, _, number in pairs}


_armed = _parse(os.environ.get("ATTUNE_FAILPOINTS", ""))
_hits: Counter[str] = Counter()


def armed() -> bool:
    """Whether any failpoint is armed."""
    return bool(_armed)


def hit(name: str) -> None:
    """Dies here if this failpoint is armed and it is its turn."""
    if name not in _armed:
        return
    _hits[name] += 1
    if _hits[name] >= _armed[name]:
        os._exit(EXIT_CODE)
