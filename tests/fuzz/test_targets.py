"""The quick part of fuzzing: every target with some hundred inputs, and everything that was ever found."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.inputs import changed
from tests.fuzz.judge import Broken, Hits, judge, kept
from tests.fuzz.targets import TARGETS, Target

EXAMPLES = 150


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_whatever_comes_a_target_keeps_its_promises(name: str) -> None:
    target, hits = TARGETS[name], Hits()

    # The same inputs each time, so that the share that reaches it is no matter of luck; `make fuzz` has fresh ones.
    @settings(max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(changed(target.seeds))
    def every_input(data: bytes) -> None:
        judge(target, data, hits)

    every_input()
    assert hits.share >= target.hits, f"{hits.reached} of {hits.tried} inputs got past the first check"


@pytest.mark.parametrize(("target", "path"), kept(), ids=lambda value: value.stem if isinstance(value, Path) else "")
def test_what_was_found_before_is_mended(target: Target, path: Path) -> None:
    judge(target, path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_the_valid_inputs_of_a_target_reach_it(name: str) -> None:
    target, hits = TARGETS[name], Hits()
    for seed in target.seeds:
        judge(target, seed, hits)
    assert hits.share >= min(target.hits, 0.5)


def _fails(_: bytes) -> tuple[bool, int]:
    raise KeyError("x")


def _burns(_: bytes) -> tuple[bool, int]:
    return True, sum(1 for _ in range(3_000_000)) * 0


@pytest.mark.parametrize("call", [_fails, _burns, lambda data: (True, 5 * len(data) + 3_000)])
def test_a_broken_promise_is_seen(call: object) -> None:
    with pytest.raises(Broken):
        judge(Target("x", call, (b"a" * 1_000,)), b"a" * 1_000)  # type: ignore[arg-type] # three small functions
