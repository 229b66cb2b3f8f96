"""The follower on a real broker: old and new switches, evidence, garbage, an absent broker, its own death."""

from __future__ import annotations

import socket
import statistics
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest

from infra.kafka.embedded import EmbeddedKafka
from schemas import codec
from schemas.control import ControlSwitch
from schemas.learning import ArmStatistics, PolicySnapshot
from tests.support.waiting import wait_until
from tests.support.workers import prepare, produce
from workers.adapters.kafka import topic_admin
from workers.adapters.kafka.broadcast_state import Follower
from workers.adapters.kafka.reader import TopicReader
from workers.core.decisioning.control_state import NOTHING, SNAPSHOTS, SWITCHES
from workers.core.errors import Misconfigured, Unavailable
from workers.core.stream.records import Record
from workers.settings import Settings

pytestmark = pytest.mark.kafka

NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)


def switch(scope: str, state: Literal["paused", "running"], second: int = 0) -> tuple[bytes, bytes]:
    value = ControlSwitch(scope=scope, state=state, changed_at=NOON + timedelta(seconds=second))
    return scope.encode(), codec.encode(value)


def snapshot(campaign: str, partition: int, trials: float) -> tuple[bytes, bytes]:
    arms = [ArmStatistics(arm="warm", context="young", trials=trials)]
    value = PolicySnapshot(campaign_id=campaign, partition=partition, arms=arms, taken_at=NOON)
    return f"{campaign}|{partition}".encode(), codec.encode(value)


def test_without_a_word_nothing_is_paused(settings: Settings) -> None:
    with Follower(prepare(settings)) as follower:
        assert follower.current == NOTHING


def test_what_was_said_before_the_start_is_known_when_it_returns(settings: Settings) -> None:
    settings = prepare(settings)
    history = [switch(f"campaign:c{n % 50}", "paused" if n % 3 else "running", n) for n in range(5000)]
    produce(settings, SWITCHES, [*history, switch("channel:push", "paused"), (b"campaign:c1", None), (b"all", b"{")])
    produce(settings, SNAPSHOTS, [snapshot("c", 0, 5), snapshot("c", 1, 2), snapshot("c", 0, 6), (b"c|9", b"garbage")])
    newest = {f"campaign:c{n % 50}" for n in range(4950, 5000) if n % 3} - {"campaign:c1"}
    with Follower(settings) as follower:
        assert follower.current.paused == newest | {"channel:push"}
        assert follower.current.evidence["c"]["young"]["warm"].trials == 8


def test_what_is_said_later_is_heard_well_within_a_second(settings: Settings) -> None:
    settings = prepare(settings)
    with Follower(settings) as follower:
        produce(settings, SWITCHES, [switch("all", "paused")])  # the producer's own start is not measured
        wait_until(lambda: follower.current.paused == {"all"}, 10, "the first switch is heard")
        heard_s = []
        for second in range(1, 6):
            paused = second % 2 == 0
            produce(settings, SWITCHES, [switch("all", "paused" if paused else "running", second)])
            said_s = time.monotonic()
            wait_until(lambda wanted=paused: ("all" in follower.current.paused) is wanted, 10, "the switch is heard")  # type: ignore[misc]
            heard_s.append(time.monotonic() - said_s)
        assert statistics.median(heard_s) < 1
        produce(settings, SWITCHES, [(b"all", b"{"), switch("all", "paused", 1), switch("channel:push", "paused", 2)])
        wait_until(lambda: "channel:push" in follower.current.paused, 10, "what follows garbage is heard")
        assert follower.current.paused == {"channel:push"}
        produce(settings, SNAPSHOTS, [snapshot("c", 0, 3)])
        wait_until(lambda: "c" in follower.current.versions, 10, "a snapshot is heard")


def test_stopping_keeps_the_last_control_state_and_it_can_start_again(settings: Settings) -> None:
    settings = prepare(settings)
    produce(settings, SWITCHES, [switch("all", "paused")])
    follower = Follower(settings)
    follower.start()
    follower.stop()
    follower.stop()
    assert follower.current.paused == {"all"}
    produce(settings, SWITCHES, [switch("all", "running", 1)])
    with follower:
        assert follower.current.paused == set()
        produce(settings, SWITCHES, [switch("all", "paused", 2)])
        wait_until(lambda: follower.current.paused == {"all"}, 10, "it follows again")


def test_an_absent_broker_stops_the_start(settings: Settings) -> None:
    del settings
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Unavailable, match="does not answer"):
        Follower(Settings(brokers=f"127.0.0.1:{port}")).start()


def test_a_missing_topic_stops_the_start(settings: Settings) -> None:
    with pytest.raises(Misconfigured, match=r"there is no topic .*control\.switches"):
        Follower(settings).start()


def test_the_last_word_outlives_a_broker_that_goes_away_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    polls: list[float] = []
    poll = TopicReader.poll

    def counted(reader: TopicReader, timeout_s: float) -> list[Record]:
        polls.append(timeout_s)
        return poll(reader, timeout_s)

    monkeypatch.setattr(TopicReader, "poll", counted)
    with EmbeddedKafka(tmp_path / "kafka") as broker:
        settings = Settings(brokers=broker.bootstrap, data_dir=str(tmp_path / "data"))
        topic_admin.apply(settings)
        produce(settings, SWITCHES, [switch("all", "paused")])
        ended: list[int] = []
        follower = Follower(settings, end_process=ended.append)
        follower.start()
    before = len(polls)
    wait_until(lambda: len(polls) > before + 20, 30, "it keeps trying without a broker")
    assert follower.current.paused == {"all"}
    with EmbeddedKafka(tmp_path / "kafka") as broker:
        assert broker.bootstrap == settings.brokers
        produce(settings, SWITCHES, [switch("all", "running", 1)])
        wait_until(lambda: follower.current.paused == set(), 60, "the switch is heard after the break")
        follower.stop()
    assert ended == []


def test_a_follower_that_fails_ends_the_process_loudly(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[int] = []

    def broken(_reader: TopicReader, _timeout_s: float) -> list[Record]:
        raise RuntimeError("made up")

    with Follower(prepare(settings), end_process=ended.append):
        monkeypatch.setattr(TopicReader, "poll", broken)
        wait_until(lambda: ended, 10, "the follower ends the process")
    assert ended == [70]
    assert "can no longer follow" in caplog.text
