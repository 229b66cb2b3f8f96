"""How long a lane rests, and how long records gather: what a turn takes, within bounds."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from workers.adapters.lanes.faust_transport import let_gather
from workers.adapters.lanes.pacing import CommitPacing


@pytest.mark.parametrize(
    ("records", "commit_s", "expected_s"),
    [(5, 0.001, 0.002), (5, 0.005, 0.003), (5, 0.5, 0.01), (199, 0.5, 0.01), (200, 0.5, 0.002)],
)
def test_a_lane_with_little_to_do_rests_for_a_share_of_the_time_that_its_commit_took(
    records: int, commit_s: float, expected_s: float
) -> None:
    assert CommitPacing().committed(records, commit_s) == expected_s


def test_a_lane_rests_until_much_waits_for_it() -> None:
    assert [CommitPacing.rests(waiting) for waiting in (0, 199, 200)] == [True, True, False]


@pytest.mark.parametrize(("commit_s", "expected_s"), [(0.0005, 0.004), (0.004, 0.0064), (0.01, 0.016), (0.5, 0.02)])
def test_records_gather_as_long_as_a_turn_takes(commit_s: float, expected_s: float) -> None:
    rhythm = CommitPacing()
    for _ in range(200):
        rhythm.committed(3, commit_s)
    assert rhythm.gather_s == pytest.approx(expected_s, rel=0.01)


def test_one_slow_commit_changes_little_and_a_large_batch_nothing() -> None:
    rhythm = CommitPacing()
    for _ in range(200):
        rhythm.committed(3, 0.005)
    before_s = rhythm.gather_s
    rhythm.committed(5_000, 2.0)
    assert rhythm.gather_s == before_s
    rhythm.committed(3, 0.02)
    assert before_s < rhythm.gather_s < 1.15 * before_s


def test_records_that_keep_coming_gather_and_the_first_one_comes_at_once() -> None:
    answers = [True, True, False, True]
    asked: list[tuple[int, int]] = []

    async def answered(assignment: object, node_id: int, request: object) -> bool:
        del assignment, node_id, request
        asked.append((fetcher._fetch_min_bytes, fetcher._fetch_max_wait_ms))
        return answers.pop(0)

    fetcher = SimpleNamespace(_fetch_min_bytes=1, _fetch_max_wait_ms=100, _proc_fetch_request=answered)
    gather_s = iter([0.008, 0.012, 0.004])
    let_gather(fetcher, lambda: next(gather_s))

    async def four() -> list[bool]:
        return [await fetcher._proc_fetch_request(None, 0, None) for _ in range(4)]

    assert asyncio.run(four()) == [True, True, False, True]  # aiokafka still hears whether something came
    assert asked == [(1, 100), (64 << 10, 8), (64 << 10, 12), (1, 100)]
