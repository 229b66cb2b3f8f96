"""Runs the long part of fuzzing: new inputs for every target until the time is up, then the slowest pattern.

A finding is made small, printed, and kept in tests/fuzz/found/, where the quick tests replay it. `.cache/fuzz.json` tells
how long each target has been tried: the next run begins with those that had the least.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from hypothesis import HealthCheck, given, seed, settings

from tests.fuzz import patterns
from tests.fuzz.inputs import changed
from tests.fuzz.judge import Broken, Hits, judge, keep
from tests.fuzz.targets import TARGETS, Target
from tests.fuzz.worst import worst

STATE = Path(__file__).resolve().parents[2] / ".cache" / "fuzz.json"
_ROUND_EXAMPLES = 400


def main() -> int:
    """Returns 1 if there are findings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--only", default="", help="only targets whose name contains this")
    options = parser.parse_args()
    chosen = [target for name, target in TARGETS.items() if options.only in name]
    tried = fuzz(chosen, 60.0 * options.minutes)
    slowest = max(map(worst, patterns.known()), key=lambda timed: timed.cpu_s)
    print(
        f"{tried} findings; the slowest of {len(patterns.known())} patterns takes {1000 * slowest.cpu_s:.0f} ms of CPU"
    )
    print(f"  {slowest.name} ({slowest.method}) on {slowest.shape!r}")
    return 1 if tried else 0


def fuzz(chosen: list[Target], budget_s: float) -> int:
    """Returns the number of targets that broke a promise."""
    spent: dict[str, float] = json.loads(STATE.read_text()) if STATE.exists() else {}
    deadline_s, broken, counted = time.monotonic() + budget_s, set[str](), {target.name: Hits() for target in chosen}
    while time.monotonic() < deadline_s and len(broken) < len(chosen):
        target = min(
            (target for target in chosen if target.name not in broken), key=lambda target: spent.get(target.name, 0.0)
        )
        begun_s = time.monotonic()
        if (found := _round(target, counted[target.name], time.time_ns())) is not None:
            broken.add(target.name)
            print(f"FOUND {found[0]}\n  {found[1][:200]!r}\n  stored in {keep(target, found[1])}", flush=True)
        spent[target.name] = spent.get(target.name, 0.0) + time.monotonic() - begun_s
        STATE.parent.mkdir(exist_ok=True)
        STATE.write_text(json.dumps(spent))
    for name, hits in counted.items():
        if hits.tried:
            print(f"{name}: {hits.tried} inputs, {hits.share:.0%} past the first check")
    return len(broken)


def _round(target: Target, hits: Hits, number: int) -> tuple[str, bytes] | None:
    """Tries some hundred inputs; returns (broken promise, smallest input that breaks it), or None."""
    last: list[tuple[str, bytes]] = []

    @seed(number)
    @settings(max_examples=_ROUND_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(changed(target.seeds))
    def every_input(data: bytes) -> None:
        try:
            judge(target, data, hits)
        except Broken as error:
            last.append((str(error), data))
            raise

    try:
        every_input()
    except Exception:
        if not last:
            raise
        return last[-1]  # hypothesis tries the smallest last
    return None


if __name__ == "__main__":
    raise SystemExit(main())
