"""Bad surroundings, each with a defined end: what it was is in the log, nothing is skipped, and afterwards all is whole."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.faults.table import Cases, Row
from tests.support.faults import (
    Follower,
    Shop,
    alter_topic,
    create_topic,
    delete_records,
    delete_topic,
    differences,
    log_of,
    repeated,
)
from tests.support.service import clean_row
from tests.support.waiting import wait_until
from tests.support.workers import ROOT, prepare, produce, read, worker
from workers.adapters.process.exit_codes import Exit
from workers.core.partition import keys
from workers.core.profile.eviction import MAX_BYTES
from workers.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

EVENTS = 4_000
CHANGELOG = "personalise-state"


@pytest.fixture
def running(settings: Settings) -> Settings:
    """An installation with the smaller playbook: it is checked at every start."""
    return prepare(settings.changed(playbook=str(ROOT / "playbooks" / "rees46")))


def apply_until(settings: Settings, follower: Follower, events: int, **environment: str) -> float:
    """A worker applies so many events, and ends when it is asked to. Returns how long it took from its start [s]."""
    began_s = time.monotonic()
    with worker("personalise", settings, **environment) as process:
        wait_applied(settings, process, follower, events)
        took_s = time.monotonic() - began_s
        process.terminate()
        assert process.wait(40) == 0
    return took_s


def wait_applied(settings: Settings, process: subprocess.Popen[bytes], follower: Follower, events: int) -> None:
    def done() -> bool:
        assert process.poll() is None, log_of(settings)[-2000:]
        return follower.applied() >= events

    wait_until(done, 90, f"{events} events applied")


def refusal_of(settings: Settings, **environment: str) -> str:
    """What a worker says that will not start."""
    said = len(log_of(settings))
    with worker("personalise", settings, **environment) as process:
        assert process.wait(60) == Exit.MISCONFIGURED, log_of(settings)[said:]
    return log_of(settings)[said:]


def lane_folders(settings: Settings) -> list[Path]:
    return sorted((Path(settings.data_dir) / "state" / f"{settings.prefix}personalise").glob("[0-9]"))


# -- what customers send ---------------------------------------------------------------------------------------------------


def test_giant_events_and_a_million_attributes_leave_a_small_profile(running: Settings, cases: Cases) -> None:
    shop = Shop(50)
    records = list(shop.events(500))
    for part in range(20):  # 20 x 50,000 attributes, each event almost as large as a record may be
        traits = {f"t{part}-{number}": 1 for number in range(50_000)}
        event = {"type": "identify", "messageId": f"i-{part}", "userId": "hoarder", "traits": traits}
        records.append((b"hoarder", json.dumps(event | {"timestamp": "2024-03-04T12:00:00Z"}).encode()))
    wide = {"type": "track", "event": "Product Viewed", "messageId": "w", "userId": "wide", "properties": {}}
    wide |= {"timestamp": "2024-03-04T12:00:00Z", "properties": {"product_id": "p", "name": "x" * 999_000}}
    records.append((b"wide", json.dumps(wide).encode()))
    produce(running, "customer.events", records)
    with Follower(running) as follower:
        apply_until(running, follower, len(records))
        profiles = follower.profiles()
        sizes = {key: len(value) for key, value in follower.newest.items() if key.startswith(keys.PROFILE)}
        assert profiles.pop("hoarder").events == 20
        assert profiles.pop("wide").events == 1
        assert max(sizes.values()) <= MAX_BYTES
        wrong = differences(profiles, shop)
        assert wrong == [], "the neighbours"
        lost = len(records) - follower.applied()
    assert read(running, "dead.letters") == []
    injected = f"20 events of 50,000 attributes, one of 1 MB; the largest profile has {max(sizes.values()):,} bytes"
    row = Row(case="giant events", injected=injected, lost=lost, duplicated=0, differences=len(wrong))
    cases.passed("65-giants", row)


# -- brokers that allow less -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", [CHANGELOG, "customer.profiles"])
def test_a_record_that_the_broker_finds_too_large_stops_the_worker_and_nothing_is_skipped(
    running: Settings, cases: Cases, topic: str
) -> None:
    shop = Shop(100)
    with Follower(running) as follower:
        with worker("personalise", running) as process:
            produce(running, "customer.events", list(shop.events(EVENTS)))
            wait_applied(running, process, follower, EVENTS)
            alter_topic(running, topic, max_message_bytes="100")
            before = follower.applied()
            produce(running, "customer.events", list(shop.events(EVENTS)))
            assert process.wait(60) == Exit.MISCONFIGURED, log_of(running)[-3000:]
        assert "max.message.bytes" in log_of(running)
        applied = follower.applied()  # lanes that had nothing to write there may have gone on until the process ended
        assert applied == before if topic == CHANGELOG else applied < 2 * EVENTS, "nothing of the batch is committed"
        assert f"{running.topic(topic)} has max.message.bytes = 100, at least 1000000 is required" in refusal_of(
            running
        )
        alter_topic(running, topic, max_message_bytes="1048588")
        # worker 1   ├── first half ──┤ limit ✗ 78
        # worker 2                              ✗ 78 at the start
        # worker 3                                     limit gone ├── second half ──┤ 0
        took_s = apply_until(running, follower, 2 * EVENTS)
        case = f"{topic} takes no more records of our size"
        row = clean_row(running, follower, shop, case, f"in the middle of {2 * EVENTS:,} events", took_s)
    cases.passed(f"30-too-large-{topic}", row)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("ATTUNE_TRANSACTION_TIMEOUT_S", "1000", "transaction.max.timeout.ms = 900000"),
        ("ATTUNE_SESSION_TIMEOUT_S", "2", "group.min.session.timeout.ms = 6000"),
    ],
)
def test_a_setting_that_the_brokers_do_not_allow_is_named_at_the_start(
    running: Settings, variable: str, value: str, words: str
) -> None:
    assert words in refusal_of(running, **{variable: value})


@pytest.mark.parametrize(
    ("name", "found", "expected"),
    [("customer.events", 6, 4), ("message.candidates", 2, 4), (CHANGELOG, 6, 4), ("message.decisions", 5, 4)],
)
def test_a_wrong_partition_count_is_named_at_the_start(running: Settings, name: str, found: int, expected: int) -> None:
    delete_topic(running, name)
    create_topic(running, name, found)
    assert f"{running.topic(name)} has {found} partitions, expected {expected}" in refusal_of(running)


def test_missing_topics_are_named_at_the_start_all_of_them(running: Settings) -> None:
    delete_topic(running, CHANGELOG)
    delete_topic(running, "message.requests")
    said = refusal_of(running)
    for name in (CHANGELOG, "message.requests"):
        assert f"there is no topic {running.topic(name)}" in said
    assert "attune topics apply" in said


# -- state that is not what it was -----------------------------------------------------------------------------------------


def test_a_worker_whose_local_state_is_garbage_rebuilds_it_and_goes_on(running: Settings, cases: Cases) -> None:
    shop = Shop(100)
    with Follower(running) as follower:
        produce(running, "customer.events", list(shop.events(EVENTS)))
        apply_until(running, follower, EVENTS)
        garbage, broken, *_ = lane_folders(running)
        for file in garbage.iterdir():
            file.write_bytes(os.urandom(2048))
        (broken / "CURRENT").write_text("MANIFEST-of-another-time\n")
        produce(running, "customer.events", list(shop.events(EVENTS)))
        took_s = apply_until(running, follower, 2 * EVENTS)
        row = clean_row(running, follower, shop, "local state damaged", f"2 lanes of 4, {2 * EVENTS:,} events", took_s)
    cases.passed("31-damaged-state", row)
    for folder in (garbage, broken):
        assert folder.with_name(f"{folder.name}.quarantined-1").is_dir()
    assert log_of(running).count("rebuilt from the changelog") == 2


def lose_changelog(settings: Settings, local_state: str) -> None:
    delete_topic(settings, CHANGELOG)
    create_topic(settings, CHANGELOG, settings.partitions, cleanup_policy="compact")
    if local_state == "gone":
        shutil.rmtree(lane_folders(settings)[0].parent)


@pytest.mark.parametrize("local_state", ["kept", "gone"])
def test_a_changelog_that_was_made_anew_is_filled_again_and_nothing_is_said_twice(
    running: Settings, cases: Cases, local_state: str
) -> None:
    shop = Shop(100)
    produce(running, "customer.events", list(shop.events(EVENTS)))
    with Follower(running) as follower:
        apply_until(running, follower, EVENTS)
    lose_changelog(running, local_state)
    with Follower(running) as follower:
        took_s = apply_until(running, follower, EVENTS)
        produce(running, "customer.events", list(shop.events(EVENTS)))
        apply_until(running, follower, 2 * EVENTS)
        injected = f"and the local state {local_state}, after {EVENTS:,} of {2 * EVENTS:,} events"
        row = clean_row(running, follower, shop, "changelog deleted", injected, took_s)
    cases.passed(f"32-deleted-changelog-{local_state}", row)
    assert ("its changelog was deleted and recreated" in log_of(running)) == (local_state == "kept")
    assert "IDs in its ledger are not published again" in log_of(running)


def test_a_lane_that_does_not_look_into_its_ledger_says_everything_again(running: Settings, cases: Cases) -> None:
    produce(running, "customer.events", list(Shop(100).events(EVENTS)))
    with Follower(running) as follower:
        apply_until(running, follower, EVENTS)
    lose_changelog(running, "kept")
    with Follower(running) as follower:
        apply_until(running, follower, EVENTS, ATTUNE_FAILPOINTS="unsafe.ledger")
    twice = repeated(running)
    assert twice["message.decisions"] > 0
    cases.unprotected("32-deleted-changelog-kept", f"{sum(twice.values()):,} records published twice")


def test_a_changelog_that_nothing_can_fill_again_stops_the_worker(running: Settings) -> None:
    shop = Shop(100)
    produce(running, "customer.events", list(shop.events(EVENTS)))
    with Follower(running) as follower:
        apply_until(running, follower, EVENTS)
    delete_topic(running, CHANGELOG)
    create_topic(running, CHANGELOG, running.partitions, cleanup_policy="compact")
    for partition in range(running.partitions):
        delete_records(running, "customer.events", 10, partition)
    for _ in range(2):  # the second start says the same: the first has not taken the only copy out of the way
        said = refusal_of(running)
        assert "no longer has the 10 records from which its state was built" in said
    assert not list(lane_folders(running)[0].parent.glob("*quarantined*"))


def test_a_value_in_the_changelog_that_cannot_be_read_stops_the_worker_with_its_place(running: Settings) -> None:
    shop = Shop(100)
    with Follower(running) as follower:
        produce(running, "customer.events", list(shop.events(EVENTS)))
        apply_until(running, follower, EVENTS)
        key = next(key for key in follower.newest if key.startswith(keys.PROFILE))
        produce(running, CHANGELOG, [(key, b"\xc1 is no msgpack")])
        said = refusal_of(running)
        assert f"{running.topic(CHANGELOG)}[" in said
        assert "that cannot be read" in said
        assert key[1:].decode() not in said, "no personal data in logs"
        produce(running, CHANGELOG, [(key, follower.newest[key])])  # a hint that the log names
        produce(running, "customer.events", list(shop.events(EVENTS)))
        follower.newest.clear()
    with Follower(running) as follower:
        apply_until(running, follower, 2 * EVENTS)
        assert differences(follower.profiles(), shop) == []


# -- a full disk -----------------------------------------------------------------------------------------------------------

#: No file may grow beyond this: the write-ahead log of a lane meets it at once, the worker's own log never.
FILE_LIMIT = 128 << 10


def limit_files(process: subprocess.Popen[bytes]) -> None:
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (FILE_LIMIT, FILE_LIMIT))


def test_a_full_disk_stops_the_worker_with_words_and_all_is_whole_when_there_is_room(
    running: Settings, cases: Cases
) -> None:
    shop = Shop(300)
    with Follower(running) as follower:
        with worker("personalise", running) as process:
            produce(running, "customer.events", list(shop.events(500)))
            wait_applied(running, process, follower, 500)
            limit_files(process)
            produce(running, "customer.events", list(shop.events(EVENTS)))
            assert process.wait(60) == Exit.SOFTWARE
        assert "cannot be written: IO error" in log_of(running)
        assert "Hint: free some space for data_dir" in log_of(running)
        said = len(log_of(running))
        with worker("personalise", running) as process:
            limit_files(process)
            assert process.wait(60) == Exit.SOFTWARE
        assert "Hint: free some space for data_dir" in log_of(running)[said:], "each start says it"
        # worker 1   ├── applies ── disk full ✗ 70      what it had committed before is in Kafka
        # worker 2                                ✗ 70  it cannot even catch up
        # worker 3                                        room ├── catches up, applies the rest ──┤ 0
        produce(running, "customer.events", list(shop.events(EVENTS)))
        took_s = apply_until(running, follower, shop.made)
        row = clean_row(running, follower, shop, "state disk full", f"2 starts, {shop.made:,} events", took_s)
    cases.passed("33-full-disk", row)
    assert not list(lane_folders(running)[0].parent.glob("*quarantined*")), "a full disk is no damage"
