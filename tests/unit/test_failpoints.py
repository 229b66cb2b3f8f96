"""Failpoints are inert until a worker arms them, and one that does not exist stops its start."""

from __future__ import annotations

import pytest

from workers.adapters.process import failpoints
from workers.core.errors import Misconfigured


def test_they_are_armed_only_inside_the_block() -> None:
    assert failpoints.waits_for_backlog()
    with failpoints.while_armed(failpoints.UNSAFE_BACKLOG):
        assert failpoints.armed()
        assert not failpoints.waits_for_backlog()
    assert failpoints.waits_for_backlog()
    assert not failpoints.armed()


@pytest.mark.parametrize("text", ["lane.nowhere=1", "lane.parse=1:dance", "unsafe.backlog,nothing"])
def test_an_unknown_one_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="ATTUNE_FAILPOINTS"):
        failpoints.arm(text)
    assert not failpoints.armed()


def test_a_hit_counts_from_when_it_was_armed(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = list[int]()
    monkeypatch.setattr(failpoints, "end_at_once", ended.append)
    for _ in range(2):
        with failpoints.while_armed("lane.parse=2"):
            failpoints.hit("lane.parse")
            assert ended == []
    with failpoints.while_armed("lane.parse=2"):
        failpoints.hit("lane.parse")
        failpoints.hit("lane.parse")
    assert ended == [failpoints.EXIT_CODE]
