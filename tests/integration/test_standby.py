"""Copies of other workers' lanes: up to date when they are needed, and out of the way at once."""

from __future__ import annotations

import re
import signal
import threading
from pathlib import Path

import pytest

from tests.integration.test_delivery import EVENTS, check, history, opened, wait_counted
from tests.integration.test_life import probe
from tests.support.faults import Changelog, create_topic, delete_records, delete_topic, log_of
from tests.support.waiting import wait_until
from tests.support.workers import prepare, produce, worker
from workers.adapters.kafka.config import client_config
from workers.adapters.lanes.spec import LaneSpec
from workers.adapters.lanes.standby import Standby
from workers.adapters.observability.metrics import WorkerMetrics
from workers.adapters.state.rocksdb import RocksStore
from workers.core.stream.effects import Processor
from workers.core.stream.records import StateStore
from workers.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

PARTITIONS = 2


def never(_store: StateStore, _clock_s: float) -> Processor:
    raise AssertionError("no lane is opened here")


def spec_of(settings: Settings) -> LaneSpec:
    return LaneSpec(
        role="personalise",
        group=f"{settings.prefix}personalise",
        sources=("customer.events",),
        changelog="state",
        lane_of=lambda _topic, partition: str(partition),
        core=never,
    )


@pytest.fixture
def running(settings: Settings) -> Settings:
    """Two lanes, and a changelog for them."""
    found = settings.changed(partitions=PARTITIONS, standby_interval_s=0.05)
    create_topic(found, "state", PARTITIONS, cleanup_policy="compact")
    create_topic(found, "customer.events", PARTITIONS)
    return found


def standby_of(settings: Settings) -> Standby:
    return Standby(spec_of(settings), settings, client_config(settings), WorkerMetrics())


def folder(settings: Settings, lane: str) -> Path:
    return spec_of(settings).state_folder(settings, lane)


def values_of(settings: Settings, lane: str) -> dict[bytes, bytes]:
    store = RocksStore(folder(settings, lane))
    found = {key: value for key in store.scan(b"p") if (value := store.get(key)) is not None}
    store.close()
    return found


def test_each_round_brings_the_copies_of_others_up_to_date_and_leaves_ours_alone(running: Settings) -> None:
    writers = [Changelog(running, running.topic("state"), partition) for partition in range(PARTITIONS)]
    standby = standby_of(running)
    for writer in writers:
        writer.write([(b"pana", b"1"), (b"pbob", b"1")])
    assert standby.run_round() == 2
    standby.take("0")
    for writer in writers:
        writer.write([(b"pana", b"2"), (b"pbob", None)])
    assert standby.run_round() == 1
    assert values_of(running, "0") == {b"pana": b"1", b"pbob": b"1"}, "it is ours: a lane has it open"
    assert values_of(running, "1") == {b"pana": b"2"}
    standby.release("0")
    assert standby.run_round() == 2
    assert values_of(running, "0") == {b"pana": b"2"}


def test_a_lane_that_is_taken_gets_its_folder_at_once_however_much_is_left_to_copy(running: Settings) -> None:
    Changelog(running, running.topic("state")).write([(b"p%d" % number, bytes(100)) for number in range(200_000)])
    standby = standby_of(running)
    rounds = threading.Thread(target=standby.run_round)
    rounds.start()
    wait_until(lambda: folder(running, "0").exists(), 30, "the copy has begun")
    standby.take("0")
    RocksStore(folder(running, "0")).close()  # nobody else holds it
    rounds.join()


def test_a_changelog_that_cannot_be_copied_ends_no_worker_and_touches_no_copy(running: Settings) -> None:
    writers = [Changelog(running, running.topic("state"), partition) for partition in range(PARTITIONS)]
    standby = standby_of(running)
    produce(running, "customer.events", [(b"%d" % number, b"x") for number in range(20)])
    for writer in writers:
        writer.write([(b"pana", b"1")])
    assert standby.run_round() == 2
    delete_topic(running, "state")
    create_topic(running, "state", PARTITIONS, cleanup_policy="compact")
    delete_records(running, "customer.events", 1, 0)  # what lane 0 was made from is gone: nothing can fill it again
    assert standby.run_round() == 1
    assert values_of(running, "0") == {b"pana": b"1"}, "perhaps the only copy that is left"
    assert standby.run_round() == 1, "said once, not tried again"


def test_it_begins_by_itself_and_ends_when_asked(running: Settings) -> None:
    Changelog(running, running.topic("state")).write([(b"pana", b"1")])
    standby = standby_of(running)
    standby.start()
    wait_until(lambda: folder(running, "0").exists(), 30, "a round has begun")
    standby.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "standby"]


def test_without_an_interval_nothing_is_copied(running: Settings) -> None:
    standby = standby_of(running.changed(standby_interval_s=0.0))
    standby.start()
    standby.close()
    assert not folder(running, "0").exists()


def test_a_worker_with_copies_takes_over_and_restores_only_the_end(settings: Settings) -> None:
    running = prepare(settings.changed(session_timeout_s=6.0, standby_interval_s=0.2))
    second = running.changed(data_dir=running.data_dir + "-second", instance="1")
    records, oracle = history()
    with worker("personalise", running) as staying:
        wait_until(lambda: sum(opened(running).values()) == 4, 60, "the first has all lanes")
        with worker("personalise", second) as dying:
            wait_until(lambda: len(opened(second)) == 2, 60, "the second has its half")
            produce(running, "customer.events", records[: EVENTS // 2])
            wait_counted(running, staying, EVENTS // 2)
            moved = set(opened(second))
            before = len(log_of(running))
            wait_until(lambda: copies(running) == 2, 60, "the first has copies of the other half")
            seen = rounds_of(running)
            wait_until(lambda: rounds_of(running) >= seen + 2, 60, "a round after the last event")
            dying.send_signal(signal.SIGKILL)
            dying.wait(10)
            wait_until(lambda: len(opened_since(running, before)) == 2, 60, "the first has taken over")
        produce(running, "customer.events", records[EVENTS // 2 :])
        wait_counted(running, staying, EVENTS)
    # first    ├─ all lanes ─┤ half, copies of the others ────┤ session time-out ├─ opens them at their end ─┤
    # second                 ├─ half of the lanes ── ✗ kill -9
    restored = opened_since(running, before)
    assert restored.keys() == moved
    assert max(restored.values()) < 10, "nearly everything was there already"
    check(running, oracle)


def opened_since(settings: Settings, place: int) -> dict[str, int]:
    """Lane → how many records it restored, of the lanes opened behind a place of the log."""
    found = re.findall(r"lane (\d+) is open after [\d.]+ s and (\d+) records", log_of(settings)[place:])
    return {lane: int(records) for lane, records in found}


def copies(settings: Settings) -> int:
    status, page = probe(settings, "personalise", "/metrics")
    found = re.search(r'^attune_standby_lanes{stage="personalise"} ([\d.]+)', page, re.MULTILINE)
    return int(float(found[1])) if status == 200 and found else 0


def rounds_of(settings: Settings) -> float:
    status, page = probe(settings, "personalise", "/metrics")
    found = re.search(r'^attune_standby_rounds_total{stage="personalise"} ([\d.]+)', page, re.MULTILINE)
    return float(found[1]) if status == 200 and found else 0.0
