"""The restore of a lane's state from its changelog, on real Kafka and RocksDB: whole, resumable, and clear when it cannot be."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.support.faults import Changelog, alter_topic, create_topic, delete_records, delete_topic
from tests.support.waiting import wait_until
from tests.support.workers import ROOT, produce
from workers.adapters.kafka.config import client_config
from workers.adapters.lanes.lost_state import proof_of_past
from workers.adapters.process.failpoints import EXIT_CODE
from workers.adapters.state.checkpoint import Marker, Progress
from workers.adapters.state.recovery import MARKER_KEY, restore
from workers.adapters.state.rocksdb import RocksStore
from workers.core.errors import Fatal, Misconfigured
from workers.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

RECORDS = 200_000
NAME = "state"


def due_of(key: bytes, value: bytes) -> list[bytes]:
    """An index as that of timers: by the first two bytes of the value; half of the keys have none."""
    return [b"t" + value[:2] + key] if key.endswith((b"0", b"2", b"4", b"6", b"8")) else []


def make_records(number: int, customers: int, seed: int = 3) -> list[tuple[bytes, bytes | None]]:
    """Values and tombstones of customers, many of them several times."""
    rng = random.Random(seed)
    return [
        (b"p%d" % rng.randrange(customers), None if rng.random() < 0.05 else rng.randbytes(rng.randrange(20, 200)))
        for _ in range(number)
    ]


def newest(*parts: list[tuple[bytes, bytes | None]]) -> dict[bytes, bytes]:
    """The oracle: the last value of each key, without those that were deleted last."""
    last = dict(record for part in parts for record in part)
    return {key: value for key, value in last.items() if value is not None}


def values_in(store: RocksStore) -> dict[bytes, bytes]:
    return {key: value for key in store.scan(b"p") if (value := store.get(key)) is not None}


def check(store: RocksStore, expected: dict[bytes, bytes]) -> None:
    """Values and index are what follows from the changelog, no more and no less."""
    assert values_in(store) == expected
    assert set(store.scan(b"t")) == {entry for key, value in expected.items() for entry in due_of(key, value)}


def restored(settings: Settings, store: RocksStore, topic: str) -> Progress:
    return restore(store, topic, 0, client_config(settings), due_of)


def in_the_topic(settings: Settings, topic: str) -> int:
    """How many committed records a reader finds: fewer than were written once the cleaner has run."""
    config = {**client_config(settings), "group.id": "test-counter", "isolation.level": "read_committed"}
    consumer = Consumer({**config, "auto.offset.reset": "earliest", "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, 0, 0)])
    found = 0
    while True:
        for message in consumer.consume(10_000, 1.0):
            if message.error() is not None:
                consumer.close()
                return found
            found += 1


def test_a_large_changelog_with_tombstones_and_aborted_transactions_is_restored_whole(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topic = create_topic(settings, NAME, cleanup_policy="compact")
    changelog = Changelog(settings, topic)
    records = make_records(RECORDS, customers=RECORDS // 2)
    for start in range(0, RECORDS, 20_000):
        changelog.write(records[start : start + 20_000])
        changelog.write(
            [(b"p-never", b"aborted")] * 50, commit=False
        )  # the tail of the topic is an aborted transaction
    store, heard = RocksStore(tmp_path / "store"), list[tuple[int, int]]()
    started_s = time.perf_counter()
    progress = restore(
        *(store, topic, 0, client_config(settings), due_of), on_progress=lambda *done: heard.append(done)
    )
    took_s = time.perf_counter() - started_s
    with capsys.disabled():
        print(f" {RECORDS:,} records in {took_s:.2f} s: {RECORDS / took_s:,.0f}/s", end=" ")  # noqa: T201
    check(store, newest(records))
    assert progress == store.progress
    assert progress.marker.offsets == {"customer.events": RECORDS}
    assert heard == sorted(heard)
    assert heard[-1][0] == heard[-1][1] == progress.changelog_offset
    assert restored(settings, store, topic) == progress, "nothing is left to restore"


def test_gaps_that_compaction_leaves_are_no_end(settings: Settings, tmp_path: Path) -> None:
    topic = create_topic(
        *(settings, NAME), cleanup_policy="compact", segment_ms="100", min_cleanable_dirty_ratio="0.01"
    )
    changelog = Changelog(settings, topic)
    parts = [make_records(2_000, customers=200, seed=seed) for seed in range(3)]
    for part in parts:
        changelog.write(part)

    def cleaned() -> bool:
        changelog.write([])  # a record that comes after `segment.ms` closes the segment; only closed ones are cleaned
        return in_the_topic(settings, topic) < 3_000

    wait_until(cleaned, 60, "the cleaner leaves gaps")
    store = RocksStore(tmp_path / "store")
    progress = restored(settings, store, topic)
    check(store, newest(*parts))
    assert progress.marker.offsets == {"customer.events": 6_000}


def test_the_next_restore_takes_only_what_is_new_and_moves_index_entries(settings: Settings, tmp_path: Path) -> None:
    topic = create_topic(settings, NAME, cleanup_policy="compact")
    changelog = Changelog(settings, topic)
    first, second = make_records(5_000, customers=500, seed=1), make_records(500, customers=500, seed=2)
    changelog.write(first)
    store = RocksStore(tmp_path / "store")
    before = restored(settings, store, topic)
    check(store, newest(first))
    changelog.write(second)
    store.close()
    store, heard = RocksStore(tmp_path / "store"), list[tuple[int, int]]()
    restore(*(store, topic, 0, client_config(settings), due_of), on_progress=lambda *done: heard.append(done))
    check(store, newest(first, second))
    assert heard[-1][1] <= 503, "500 values, a marker, and the end of the transaction"
    assert store.progress.changelog_offset > before.changelog_offset


def test_a_restore_that_is_told_to_stop_is_taken_up_where_it_was(settings: Settings, tmp_path: Path) -> None:
    topic = create_topic(settings, NAME, cleanup_policy="compact")
    changelog = Changelog(settings, topic)
    records = make_records(100_000, customers=60_000)
    changelog.write(records)
    store, heard = RocksStore(tmp_path / "store"), list[int]()
    progress = restore(
        *(store, topic, 0, client_config(settings), due_of),
        on_progress=lambda done, _total: heard.append(done),
        stop=lambda: bool(heard),  # as soon as the first chunk is written
    )
    assert len(heard) == 1
    assert 0 < progress.changelog_offset < 100_000
    store.close()
    store = RocksStore(tmp_path / "store")
    assert store.progress == progress
    restored(settings, store, topic)
    check(store, newest(records))


def test_a_restore_that_was_killed_half_way_is_whole_afterwards(settings: Settings, tmp_path: Path) -> None:
    topic = create_topic(settings, NAME, cleanup_policy="compact")
    changelog = Changelog(settings, topic)
    records = make_records(100_000, customers=60_000)
    changelog.write(records)
    # chunk   chunk   chunk | kill -9       what was not flushed is gone, whole chunks and from the newest on
    program = (
        "import sys; from pathlib import Path; from workers.adapters.state.recovery import restore; "
        "from workers.adapters.state.rocksdb import RocksStore; from tests.integration.test_restore import due_of; "
        "from workers.adapters.process import failpoints; failpoints.arm('restore.half'); "
        "restore(RocksStore(Path(sys.argv[1])), sys.argv[2], 0, {'bootstrap.servers': sys.argv[3]}, due_of)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "store"), topic, settings.brokers]
    assert subprocess.run(command, check=False, cwd=ROOT, timeout=60).returncode == EXIT_CODE
    store = RocksStore(tmp_path / "store")
    progress, left = store.progress, values_in(store)
    assert progress.changelog_offset < 100_001
    assert left == newest(records[: progress.changelog_offset]), "values and progress belong together"
    restored(settings, store, topic)
    check(store, newest(records))


# -- a copy that is none -------------------------------------------------------------------------------------------------


def quarantined(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if "quarantined" in path.name)


def test_a_changelog_that_was_made_anew_sets_the_local_state_aside(settings: Settings, tmp_path: Path) -> None:
    topic = create_topic(settings, NAME, cleanup_policy="compact")
    Changelog(settings, topic).write([(b"p0", b"old"), (b"p2", b"old")])
    store = RocksStore(tmp_path / "store")
    restored(settings, store, topic)
    delete_topic(settings, NAME)
    create_topic(settings, NAME, cleanup_policy="compact")
    # the new one is longer than the old one was: offsets alone would not show it
    Changelog(settings, topic).write([(b"p4", b"new")] * 10)
    restored(settings, store, topic)
    check(store, {b"p4": b"new"})
    assert quarantined(tmp_path) == ["store.quarantined-1"]


def test_a_changelog_that_lost_its_newest_records_sets_the_local_state_aside(
    settings: Settings, tmp_path: Path
) -> None:
    topic = create_topic(settings, NAME, cleanup_policy="compact")
    Changelog(settings, topic).write([(b"p0", b"kept")])
    store = RocksStore(tmp_path / "store")
    progress = restored(settings, store, topic)
    ahead = Progress(changelog_offset=progress.changelog_offset + 50, marker=progress.marker)
    store.write([(b"p2", b"lost by the broker")], [], [], ahead)
    assert restored(settings, store, topic) == progress
    check(store, {b"p0": b"kept"})


def test_local_state_whose_transaction_was_confirmed_and_lost_its_markers_is_kept(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    topic = create_topic(settings, NAME, cleanup_policy="compact")
    Changelog(settings, topic).write([(b"p0", b"old")])
    store = RocksStore(tmp_path / "store")
    progress = restored(settings, store, topic)
    undecided = Producer({**client_config(settings), "transactional.id": f"{topic}-undecided"})
    undecided.init_transactions(30)
    undecided.begin_transaction()
    undecided.produce(topic, b"confirmed", b"p2", partition=0)
    assert undecided.flush(30) == 0
    # changelog   ├── p0 ┤ p2, no marker      local state   ├── p0, p2 ┤
    ahead = Progress(changelog_offset=progress.changelog_offset + 1, marker=progress.marker)
    store.write([(b"p2", b"confirmed")], due_of(b"p2", b"confirmed"), [], ahead)
    assert restored(settings, store, topic) == ahead
    check(store, {b"p0": b"old", b"p2": b"confirmed"})
    assert quarantined(tmp_path) == []
    assert "has lost the end of a confirmed transaction (1 records)" in caplog.text
    undecided.abort_transaction(30)


def test_an_emptied_changelog_is_refused_when_its_sources_have_forgotten(settings: Settings, tmp_path: Path) -> None:
    source = create_topic(settings, "events")
    topic = create_topic(settings, NAME, cleanup_policy="compact")
    produce(settings, "events", [(b"p0", b"event")] * 5)
    Changelog(settings, topic).write([(b"p0", b"made from five events")])
    store = RocksStore(tmp_path / "store")
    restored(settings, store, topic)
    delete_topic(settings, NAME)
    create_topic(settings, NAME, cleanup_policy="compact")
    delete_records(settings, "events", before=3)
    with pytest.raises(Misconfigured, match=r"state\[0\] is empty, and .*events\[0\] no longer has the 3 records"):
        restore(store, topic, 0, client_config(settings), due_of, sources=[(source, 0)])
    assert store.get(b"p0") == b"made from five events", "the last copy is not touched"
    assert quarantined(tmp_path) == []


def test_without_local_state_an_emptied_changelog_is_refused_when_something_proves_a_past(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = create_topic(settings, "events")
    topic = create_topic(settings, NAME, cleanup_policy="compact")
    produce(settings, "events", [(b"p0", b"event")] * 5)
    store, config = RocksStore(tmp_path / "store"), client_config(settings)

    def begun(past: str, *, begin_anew: bool = False) -> Progress:
        return restore(
            *(store, topic, 0, config, due_of), sources=[(source, 0)], past=lambda: past, begin_anew=begin_anew
        )

    assert begun("it has a past") == Progress(), "the sources still have everything"
    delete_records(settings, "events", before=3)
    assert begun("") == Progress(), "a lane that is new begins with what there is"
    with pytest.raises(Misconfigured, match=r"no longer has the 3 records .*: it has a past.* Hint: .*BEGIN_ANEW=true"):
        begun("it has a past")
    assert begun("it has a past", begin_anew=True) == Progress()
    assert "starts empty, without the first 3 records" in caplog.text


def test_what_proves_that_a_lane_has_worked_before(settings: Settings) -> None:
    config, group = client_config(settings), f"{settings.prefix}group"
    source, left_in = create_topic(settings, "events"), create_topic(settings, "left")
    produce(settings, "events", [(b"p0", b"event")] * 5)

    def proof() -> str:
        return proof_of_past(config, group, [(source, 0)], [(left_in, 0)])

    assert proof() == ""
    produce(settings, "left", [(b"p0", b"decision")])
    delete_records(settings, "left", before=1)
    assert proof() == f"it has written to {left_in}[0]", "whatever retention has taken of it"
    consumer = Consumer({**config, "group.id": group})
    consumer.commit(offsets=[TopicPartition(source, 0, 4)], asynchronous=False)
    consumer.close()
    assert proof() == f"group {group} has read {source}[0] up to 4"
    delete_topic(settings, "events")
    create_topic(settings, "events")
    delete_topic(settings, "left")
    create_topic(settings, "left")
    assert proof() == "", "topics that were made anew have no past: their groups' offsets went with them"


def test_an_emptied_changelog_is_made_again_when_its_sources_have_everything(
    settings: Settings, tmp_path: Path
) -> None:
    source = create_topic(settings, "events")
    topic = create_topic(settings, NAME, cleanup_policy="compact")
    Changelog(settings, topic).write([(b"p0", b"old")])
    store = RocksStore(tmp_path / "store")
    restored(settings, store, topic)
    delete_topic(settings, NAME)
    create_topic(settings, NAME, cleanup_policy="compact")
    progress = restore(store, topic, 0, client_config(settings), due_of, sources=[(source, 0)])
    assert progress == Progress(), "the lane begins at its sources' first records"
    check(store, {})
    assert quarantined(tmp_path) == ["store.quarantined-1"]


def test_a_changelog_that_lost_its_oldest_records_is_refused(settings: Settings, tmp_path: Path) -> None:
    topic = create_topic(settings, NAME, cleanup_policy="compact")
    Changelog(settings, topic).write([(b"p0", b"gone"), (b"p2", b"gone"), (b"p4", b"there")])
    alter_topic(settings, NAME, cleanup_policy="compact,delete")
    delete_records(settings, NAME, before=2)
    with pytest.raises(Misconfigured, match=r"state\[0\] has lost its records before 2"):
        restored(settings, RocksStore(tmp_path / "store"), topic)


def test_a_changelog_that_does_not_exist_is_named(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"there is no topic .*state\. Hint: `attune topics apply`"):
        restored(settings, RocksStore(tmp_path / "store"), settings.topic(NAME))


@pytest.mark.parametrize("key", [b"p2", MARKER_KEY])
def test_a_value_that_cannot_be_read_is_refused_with_its_place(settings: Settings, tmp_path: Path, key: bytes) -> None:
    from workers.roles.personalise import timer_index

    topic = create_topic(settings, NAME, cleanup_policy="compact")
    Changelog(settings, topic).write([(b"c0", b"not looked at"), (b"c1", b"not looked at")])
    produce(settings, NAME, [(b"c3", b""), (key, b"\xc1 is no msgpack")])
    store = RocksStore(tmp_path / "store")
    with pytest.raises(Misconfigured, match=r"state\[0\] holds a value at offset 5 that cannot be read") as refused:
        restore(store, topic, 0, client_config(settings), timer_index)
    assert "p2" not in str(refused.value), "no personal data"
    assert store.progress == Progress(), "nothing is skipped"
    # a right value after it heals the lane
    Changelog(settings, topic).write([(b"p2", None)])
    assert restore(store, topic, 0, client_config(settings), timer_index).changelog_offset > 5


# -- the folder ----------------------------------------------------------------------------------------------------------


def filled(path: Path) -> None:
    """A store that was closed, with data in files."""
    store = RocksStore(path)
    store.write([(b"p0", b"value" * 100)], [], [], Progress(changelog_offset=7, marker=Marker(offsets={"e": 3})))
    store.flush()
    store.close()


def break_current(path: Path) -> None:
    (path / "CURRENT").write_bytes(b"garbage")


def break_every_file(path: Path) -> None:
    for file in path.iterdir():
        file.write_bytes(os.urandom(4096))


def lose_the_data(path: Path) -> None:
    for file in path.glob("*.sst"):
        file.unlink()


@pytest.mark.parametrize("damage", [break_current, break_every_file, lose_the_data])
def test_a_folder_that_cannot_be_opened_is_set_aside(
    tmp_path: Path, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 2):
        filled(tmp_path / "store")
        assert callable(damage)
        damage(tmp_path / "store")
        store = RocksStore(tmp_path / "store")
        assert store.progress == Progress()
        store.close()
        assert quarantined(tmp_path) == [f"store.quarantined-{number}"], "the newest is kept, no other"
    assert "is set aside as store.quarantined-2 and rebuilt from the changelog" in caplog.text


def test_damage_that_is_found_while_reading_is_set_aside_at_the_next_start(tmp_path: Path) -> None:
    filled(tmp_path / "store")
    (data,) = (tmp_path / "store").glob("*.sst")
    content = bytearray(data.read_bytes())
    content[10:40] = b"\xff" * 30  # inside the first block of values; footer and index stay whole
    data.write_bytes(content)
    store = RocksStore(tmp_path / "store")
    with pytest.raises(Fatal, match=r"is damaged: Corruption.*the next start sets the folder aside"):
        store.get(b"p0")
    store.close()
    store = RocksStore(tmp_path / "store")
    assert store.progress == Progress()
    assert quarantined(tmp_path) == ["store.quarantined-1"]
    store.close()
    RocksStore(tmp_path / "store").close()
    assert quarantined(tmp_path) == ["store.quarantined-1"], "only once"


@pytest.mark.parametrize(("days", "kept"), [(5.9, True), (6.1, False)])
def test_a_copy_that_may_have_missed_deletions_is_set_aside(tmp_path: Path, days: float, kept: bool) -> None:
    path = tmp_path / "0"
    store = RocksStore(path)
    store.write([(b"pana", b"1")], [], [], Progress(changelog_offset=1))
    store.close()
    for file in path.iterdir():
        os.utime(file, times=(time.time() - days * 86_400,) * 2)
    store = RocksStore(path)
    assert (store.get(b"pana") is not None) == kept
    assert (store.progress.changelog_offset == 1) == kept
    assert path.with_name("0.quarantined-1").exists() != kept
    store.close()


def test_a_folder_that_another_worker_uses_is_left_alone(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "store")
    with pytest.raises(Fatal, match="is another worker using this data_dir"):
        RocksStore(tmp_path / "store")
    assert quarantined(tmp_path) == []
    store.close()
