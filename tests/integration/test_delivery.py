"""Exactly once up to our topics: real Kafka, real workers, killed where it hurts."""

from __future__ import annotations

import json
import random
import re
import subprocess
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas import codec
from schemas.base import SourceEvent
from schemas.profiles import ProfileView
from tests.support.waiting import wait_until
from tests.support.workers import committed_profiles, prepare, produce, read, worker
from workers.adapters.process.failpoints import EXIT_CODE
from workers.adapters.state.checkpoint import Marker
from workers.adapters.state.recovery import MARKER_KEY
from workers.core.profile.fold import fold
from workers.core.profile.model import Profile
from workers.core.stream.records import Record
from workers.settings import Settings

pytestmark = pytest.mark.kafka

decode_marker = msgspec.msgpack.Decoder(Marker).decode
EVENTS, CUSTOMERS = 12_000, 300
START = 1_709_553_600


def history() -> tuple[list[tuple[bytes | None, bytes | None]], dict[str, Counter[str]]]:
    """Events of many customers, and the oracle: what a one-thread reducer counts."""
    rng = random.Random(5)
    records: list[tuple[bytes | None, bytes | None]] = []
    oracle: dict[str, Counter[str]] = {}
    for index in range(EVENTS):
        user = f"customer-{rng.randrange(CUSTOMERS)}"
        name = rng.choice(("Product Viewed", "Product Added", "Page", "Order Completed"))
        oracle.setdefault(user, Counter())[name] += 1
        event = {
            "type": "track",
            "event": name,
            "messageId": f"m-{index}",
            "timestamp": datetime.fromtimestamp(START + index, UTC).isoformat(),
            "userId": user,
            "properties": {"product_id": f"p-{rng.randrange(20)}", "cart_id": "c"},
        }
        records.append((user.encode(), json.dumps(event).encode()))
    return records, oracle


def counted(settings: Settings) -> int:
    return sum(profile.events for profile in committed_profiles(settings).values())


def wait_counted(settings: Settings, process: subprocess.Popen[bytes], events: int) -> None:
    """Until so many events are in committed profiles; a worker that died by itself is a failure at once."""

    def done() -> bool:
        assert process.poll() is None, f"the worker ended with {process.returncode}"
        return counted(settings) >= events

    wait_until(done, 90, f"{events} events counted")


def regressions(records: list[Record]) -> int:
    """How often a lane's marker goes back: a batch that was written again."""
    newest: dict[int, int] = {}
    found = 0
    for record in records:
        if record.key == MARKER_KEY and record.value is not None:
            offset = decode_marker(record.value).offsets.get("customer.events", 0)
            found += offset < newest.get(record.partition, -1)
            newest[record.partition] = max(offset, newest.get(record.partition, -1))
    return found


def folded() -> dict[str, dict[str, Any]]:
    """What one thread makes of the history, event by event, without lanes, batches and restarts."""
    records, _ = history()
    known: dict[str, Profile] = {}
    for _, value in records:
        event = codec.decode_event(value)
        profile = known.setdefault(event.customer_id, Profile(customer_id=event.customer_id))
        at_s = event.timestamp.timestamp()
        fold(profile, event, at_s, SourceEvent("customer.events", 0, 0), {}, now_s=at_s)
    return {user: what_was_told(profile) for user, profile in known.items()}


def what_was_told(profile: Profile) -> dict[str, Any]:
    """A profile without places in topics, and without what time and decisions add."""
    told = {
        name: msgspec.to_builtins(getattr(profile, name))
        for name in (
            *("user_id", "version", "events", "counts", "landmark", "decayed", "interests", "first_seen", "last_seen"),
            *("hours", "recent", "sessions", "carts", "closed_carts", "purchases", "orders", "last_order_at"),
        )
    }
    for cart in told["carts"].values():
        del cart[4]
    for purchase in told["purchases"].values():
        del purchase[2]
    return told


def check(settings: Settings, oracle: dict[str, Counter[str]]) -> None:
    profiles = committed_profiles(settings)
    assert {user: profile.counts for user, profile in profiles.items()} == {
        user: dict(counts) for user, counts in oracle.items()
    }
    expected = folded()
    for user, profile in profiles.items():
        assert what_was_told(profile) == expected[user], user
    decisions = [
        codec.decode_topic("message.decisions", record.value) for record in read(settings, "message.decisions")
    ]
    assert len({decision.decision_id for decision in decisions}) == len(decisions)
    assert read(settings, "dead.letters") == []


@pytest.mark.parametrize("failpoint", ["lane.before_commit", "lane.after_commit"])
def test_a_crash_in_the_middle_of_a_commit_neither_loses_nor_repeats(settings: Settings, failpoint: str) -> None:
    running = prepare(settings)
    records, oracle = history()
    produce(running, "customer.events", records)
    for hits in (1, 3, 5):
        with worker(
            "personalise", running, ATTUNE_FAILPOINTS=f"{failpoint}={hits}", ATTUNE_BATCH_RECORDS="400"
        ) as process:
            assert process.wait(60) == EXIT_CODE
    with worker("personalise", running) as process:
        wait_counted(running, process, EVENTS)
        process.terminate()
        assert process.wait(30) == 0
    check(running, oracle)


def test_without_committed_reads_the_same_crash_shows_repetitions(settings: Settings) -> None:
    """The proof that the test above can fail: with the readers' protection off, aborted records are seen."""
    running = prepare(settings)
    records, _ = history()
    produce(running, "customer.events", records)
    with worker("personalise", running, ATTUNE_FAILPOINTS="lane.before_commit=2") as process:
        assert process.wait(60) == EXIT_CODE
    with worker("personalise", running, ATTUNE_BATCH_RECORDS="100") as process:
        wait_counted(running, process, EVENTS)
    assert regressions(read(running, "personalise-state")) == 0
    assert regressions(read(running, "personalise-state", isolation="read_uncommitted")) > 0


def test_random_kills_under_load_leave_every_profile_equal_to_the_oracle(settings: Settings) -> None:
    running = prepare(settings)
    records, oracle = history()
    rng = random.Random(11)
    done = 0
    for _ in range(4):
        produce(running, "customer.events", records[done : done + EVENTS // 5])
        done += EVENTS // 5
        with worker("personalise", running, ATTUNE_BATCH_RECORDS="200") as process:
            wait_counted(running, process, counted(running) + rng.randrange(1, EVENTS // 5))
            process.kill()
    produce(running, "customer.events", records[done:])
    with worker("personalise", running) as process:
        wait_counted(running, process, EVENTS)
        process.terminate()
        assert process.wait(30) == 0
    check(running, oracle)


def test_lost_local_state_is_rebuilt_from_the_changelog(settings: Settings) -> None:
    running = prepare(settings)
    records, oracle = history()
    produce(running, "customer.events", records[: EVENTS // 2])
    with worker("personalise", running) as process:
        wait_counted(running, process, EVENTS // 2)
        process.terminate()
        assert process.wait(30) == 0
    elsewhere = running.changed(data_dir=running.data_dir + "-elsewhere")
    produce(running, "customer.events", records[EVENTS // 2 :])
    with worker("personalise", elsewhere) as process:
        wait_counted(running, process, EVENTS)
    check(running, oracle)


def test_two_workers_share_the_partitions_and_a_leaving_one_hands_over(settings: Settings) -> None:
    running = prepare(settings)
    records, oracle = history()
    second = running.changed(data_dir=running.data_dir + "-second", instance="1")
    with worker("personalise", running) as staying:
        produce(running, "customer.events", records[:4000])
        wait_counted(running, staying, 4000)
        with worker("personalise", second) as leaving:
            wait_until(lambda: "is open" in log_of(second), 60, "the second worker owns partitions")
            produce(running, "customer.events", records[4000:8000])
            wait_counted(running, staying, 8000)
            assert len({frozenset(lanes) for lanes in shared(second).values()}) == 1, "one owner of a partition number"
            assert opened(running) == Counter("0123"), "lanes that stay are not restored again"
            leaving.terminate()
            assert leaving.wait(30) == 0
            produce(running, "customer.events", records[8000:])
            wait_counted(running, staying, EVENTS)
            assert opened(running) == Counter("0123") + Counter(next(iter(shared(second).values())))
    check(running, oracle)


def test_workers_that_join_one_after_another_into_a_backlog_disturb_nothing(settings: Settings) -> None:
    """More lanes than the machine has threads to spare, and each rebalance comes while the lanes of the last one open."""
    running = prepare(settings.changed(partitions=12))
    records, oracle = history()
    produce(running, "customer.events", records)
    small = {"ATTUNE_BATCH_RECORDS": "100"}
    names = ("1", "2")
    others = [running.changed(data_dir=f"{running.data_dir}-{n}", instance=n) for n in names]
    with worker("personalise", running, **small) as first:
        wait_until(lambda: "owns" in log_of(running), 60, "the first worker owns partitions")
        with worker("personalise", others[0], **small) as second, worker("personalise", others[1], **small) as third:
            wait_until(lambda: opened(others[0]) and opened(others[1]), 60, "all three have lanes")
            second.terminate()
            wait_counted(running, first, EVENTS)
            assert second.wait(30) == 0
            third.terminate()
            assert third.wait(30) == 0
        assert first.poll() is None
        first.terminate()
        assert first.wait(30) == 0
    # first    ├─ all 12 ─┤ a third ─────┤ half ──┤ all
    # second       ├ joins ─┤ a third ─✗ leaves
    # third        ├ joins ─┤ a third ─────────┤ half ──✗ leaves
    check(running, oracle)


def opened(settings: Settings) -> Counter[str]:
    """How often each lane of a worker was opened, with a restore."""
    return Counter(re.findall(r"lane (\d+) is open", log_of(settings)))


def log_of(settings: Settings) -> str:
    path = Path(settings.data_dir) / "personalise.log"
    return path.read_text() if path.exists() else ""


def shared(settings: Settings) -> dict[str, set[str]]:
    """Which partition numbers a worker's lanes were opened with, per topic."""
    opened: dict[str, set[str]] = {}
    for name, topic in re.findall(r"lane (\d+) owns ([\w.-]+)", log_of(settings)):
        opened.setdefault(topic, set()).add(name)
    return opened


def test_the_public_view_agrees_with_the_state(settings: Settings) -> None:
    running = prepare(settings)
    records, _ = history()
    produce(running, "customer.events", records)
    with worker("personalise", running) as process:
        wait_counted(running, process, EVENTS)
    newest = {record.key: codec.decode(ProfileView, record.value) for record in read(running, "customer.profiles")}
    profiles = committed_profiles(running)
    assert {view.customer_id for view in newest.values()} == profiles.keys()
    for view in newest.values():
        assert view.features.events <= profiles[view.customer_id].events
