"""Guidance: the newest switch of a scope holds, evidence is the sum over partitions, garbage changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from schemas import codec
from schemas.control import ControlSwitch
from schemas.learning import ArmStatistics, PolicySnapshot
from workers.core.decisioning.control_state import (
    NOTHING,
    SNAPSHOTS,
    SWITCHES,
    ControlState,
    ControlStateReducer,
    paused_by,
)
from workers.core.stream.records import Record

NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)


def record(topic: str, key: bytes | None, value: bytes | None) -> Record:
    return Record(topic=topic, partition=0, offset=0, key=key, value=value, appended_at_s=0.0)


def switch(scope: str, state: Literal["paused", "running"], second: int = 0) -> Record:
    value = ControlSwitch(scope=scope, state=state, changed_at=NOON + timedelta(seconds=second))
    return record(SWITCHES, scope.encode(), codec.encode(value))


def snapshot(campaign: str, partition: int, second: int = 0, **trials: float) -> Record:
    arms = [ArmStatistics(arm=arm, context="young", trials=count, rewards=count / 2) for arm, count in trials.items()]
    value = PolicySnapshot(
        campaign_id=campaign, partition=partition, arms=arms, taken_at=NOON + timedelta(seconds=second)
    )
    return record(SNAPSHOTS, f"{campaign}|{partition}".encode(), codec.encode(value))


def after(*records: Record) -> ControlState:
    directions = ControlStateReducer()
    for each in records:
        assert directions.take(each)
    return directions.current


def test_nothing_heard_is_nothing_paused() -> None:
    assert ControlStateReducer().current is NOTHING


def test_the_newest_switch_of_each_scope_holds() -> None:
    heard = after(switch("all", "paused"), switch("campaign:a", "paused"), switch("all", "running", 1))
    assert heard.paused == {"campaign:a"}


def test_an_older_switch_that_comes_later_does_not_win() -> None:
    assert after(switch("all", "paused", 2), switch("all", "running", 1)).paused == {"all"}
    assert after(switch("all", "paused", 1), switch("all", "running", 1)).paused == set()


def test_a_tombstone_takes_a_switch_back() -> None:
    heard = after(switch("all", "paused", 9), record(SWITCHES, b"all", None), switch("campaign:a", "paused"))
    assert heard.paused == {"campaign:a"}
    assert after(switch("all", "paused", 9), record(SWITCHES, b"all", None), switch("all", "paused")).paused == {"all"}


def test_evidence_is_added_up_over_partitions_and_the_newest_of_each_counts() -> None:
    heard = after(snapshot("c", 0, warm=5), snapshot("c", 1, warm=1, brisk=2), snapshot("c", 0, warm=10))
    arms = heard.evidence["c"]["young"]
    assert {arm: (found.trials, found.rewards) for arm, found in arms.items()} == {"warm": (11, 5.5), "brisk": (2, 1)}


def test_a_version_changes_with_the_evidence_and_with_nothing_else() -> None:
    first = after(snapshot("c", 0, warm=5), snapshot("c", 1, warm=1))
    assert after(snapshot("c", 1, 7, warm=1), snapshot("c", 0, 8, warm=5)).versions == first.versions
    assert after(snapshot("c", 0, warm=1), snapshot("c", 1, warm=5)).versions != first.versions
    assert after(snapshot("c", 0, warm=6)).versions.keys() == {"c"}


def test_a_tombstone_takes_a_partition_back() -> None:
    one = after(snapshot("c", 0, warm=5))
    assert after(snapshot("c", 0, warm=5), snapshot("c", 1, warm=9), record(SNAPSHOTS, b"c|1", None)) == one
    assert after(snapshot("c", 0, warm=5), record(SNAPSHOTS, b"c|0", None)) == NOTHING


def test_other_campaigns_keep_what_they_have() -> None:
    directions = ControlStateReducer()
    directions.take(snapshot("a", 0, warm=5))
    before = directions.current
    directions.take(snapshot("b", 0, warm=5))
    assert directions.current.evidence["a"] is before.evidence["a"]
    assert before.evidence.keys() == {"a"}


def test_what_changes_nothing_leaves_the_same_object() -> None:
    directions = ControlStateReducer()
    directions.take(switch("all", "paused"))
    directions.take(snapshot("c", 0, warm=5))
    before = directions.current
    assert directions.current is before
    directions.take(switch("all", "paused", 5))
    directions.take(snapshot("c", 0, 5, warm=5))
    directions.take(record(SWITCHES, b"campaign:never", None))
    assert directions.current is before


_SWITCH = codec.encode(ControlSwitch(scope="all", state="paused", changed_at=NOON))
_SNAPSHOT = codec.encode(PolicySnapshot(campaign_id="c", partition=0, taken_at=NOON))


@pytest.mark.parametrize(
    "garbage",
    [
        record(SWITCHES, b"all", b"{"),
        record(SWITCHES, b"all", b'{"scope":"all","state":"perhaps","changed_at":"2024-03-04T12:00:00Z"}'),
        record(SWITCHES, b"campaign:a", _SWITCH),
        record(SWITCHES, None, _SWITCH),
        record(SNAPSHOTS, b"c|0", b"\xff"),
        record(SNAPSHOTS, b"c|1", _SNAPSHOT),
        record(SNAPSHOTS, b"d|0", _SNAPSHOT),
        record(SNAPSHOTS, b"c", _SNAPSHOT),
        record(SNAPSHOTS, None, _SNAPSHOT),
        record(SNAPSHOTS, b"c|x", None),
        record("copy.pool", b"all", _SWITCH),
    ],
)
def test_what_is_not_usable_is_counted_and_changes_nothing(garbage: Record) -> None:
    directions = ControlStateReducer()
    assert not directions.take(garbage)
    assert directions.ignored == 1
    assert directions.current is NOTHING


@pytest.mark.parametrize(
    ("paused", "channel", "scope"),
    [
        (set(), "push", None),
        ({"campaign:b", "channel:email"}, "push", None),
        ({"all", "campaign:a"}, "push", "all"),
        ({"campaign:a", "channel:push"}, "push", "campaign:a"),
        ({"channel:push"}, "push", "channel:push"),
        ({"channel:push"}, None, None),
        ({"campaign:a"}, None, "campaign:a"),
    ],
)
def test_the_widest_scope_that_pauses_is_named(paused: set[str], channel: str | None, scope: str | None) -> None:
    assert paused_by(ControlState(paused=frozenset(paused)), "a", channel) == scope
