"""A lane's changelog is deleted and its local state is gone, after its events have left their topic: no worker goes on as if
nothing had been there, and one that may begin anew still knows whom it wrote to.
"""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from tests.faults.table import Cases, Row
from tests.support.carts import did, fill_carts, ledger, outcomes
from tests.support.faults import Follower, create_topic, delete_records, delete_topic, log_of, repeated
from tests.support.waiting import wait_until
from tests.support.workers import prepare, produce, read, worker
from workers.adapters.kafka.config import client_config
from workers.adapters.process.exit_codes import Exit
from workers.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(900)]

CHANGELOG = "personalise-state"
USERS = [f"user-{number}" for number in range(40)]
#: Of the playbook: messages within a week, which is 28 minutes here.
CAP, SPEEDUP = 3, 360.0


@pytest.fixture
def running(settings: Settings) -> Settings:
    return prepare(settings.changed(speedup=SPEEDUP, llm="off"))


def heard(settings: Settings) -> Counter[str]:
    """How many messages each customer has."""
    return Counter((record.key or b"").decode() for record in read(settings, "messages.push"))


def decided(settings: Settings, process: subprocess.Popen[bytes], number: int) -> bool:
    assert process.poll() is None, log_of(settings)[-2000:]
    return len(ledger(settings)) >= number


def write_to_everybody(settings: Settings, rounds: int, name: str, **environment: str) -> None:
    """So many carts of everybody, one after another, each decided; the worker ends when it is asked to."""
    done = len(ledger(settings))
    with worker("personalise", settings, **environment) as process:
        for number in range(rounds):
            fill_carts(settings, USERS, f"{name}{number}")
            done += len(USERS)
            wait_until(partial(decided, settings, process, done), 180, "every cart is decided")
        asked = sum(one.message_id is not None for one in ledger(settings))
        wait_until(lambda: len(outcomes(settings)) >= asked, 180, "every request ends, with its template")
        process.terminate()
        assert process.wait(40) == 0


def lose_the_past(settings: Settings) -> int:
    """No changelog, no local state, and no events but those that come from now on. Returns how many are gone."""
    delete_topic(settings, CHANGELOG)
    create_topic(settings, CHANGELOG, settings.partitions, cleanup_policy="compact")
    shutil.rmtree(Path(settings.data_dir) / "state")
    consumer, gone = Consumer({**client_config(settings), "group.id": "test-ends"}), 0
    for partition in range(settings.partitions):
        where = TopicPartition(settings.topic("customer.events"), partition)
        end = consumer.get_watermark_offsets(where, timeout=30)[1]
        delete_records(settings, "customer.events", end, partition)
        gone += end
    consumer.close()
    return gone


def refused(settings: Settings) -> str:
    """What a worker says that will not begin."""
    said = len(log_of(settings))
    with worker("personalise", settings) as process:
        assert process.wait(60) == Exit.MISCONFIGURED, log_of(settings)[said:]
    return log_of(settings)[said:]


def test_a_lane_that_lost_everything_refuses_and_where_it_may_begin_anew_caps_still_hold(
    running: Settings, cases: Cases
) -> None:
    write_to_everybody(running, CAP - 1, "before")
    before = heard(running)
    assert max(before.values()) == CAP - 1
    gone = lose_the_past(running)
    said = refused(running)
    assert "is empty, and" in said
    assert "no longer has the" in said
    assert "ATTUNE_BEGIN_ANEW=true" in said
    # worker 1   ├─ 2 messages each ─┤ state, changelog, events lost
    # worker 2                          ✗ 78
    # worker 3                              may begin anew ├─ 1 more each, then the cap ─┤
    write_to_everybody(running, 3, "after", ATTUNE_BEGIN_ANEW="true")
    now = heard(running)
    assert max(now.values()) == CAP, now
    assert all(now[user] <= CAP for user in USERS)
    assert "starts empty, without the first" in log_of(running)
    asked = [one.message_id for one in ledger(running) if one.message_id is not None]
    assert sorted(asked) == sorted(one.message_id for one in outcomes(running)), "one end each"
    row = Row(
        case="changelog, local state and events lost",
        injected=f"{gone} events gone, {len(USERS)} customers written to {CAP - 1} times before",
        lost=0,
        duplicated=sum(repeated(running).values()),
        differences=sum(number > CAP for number in now.values()),
    )
    cases.passed("35-lost-past", row)


def test_without_looking_at_its_past_a_lane_begins_in_silence_and_writes_beyond_the_cap(
    running: Settings, cases: Cases
) -> None:
    """The proof that the test above can fail."""
    write_to_everybody(running, CAP - 1, "before")
    produce(running, "customer.events", [did(f"silent-{number}", "Page") for number in range(100)])
    lose_the_past(running)
    write_to_everybody(running, 3, "after", ATTUNE_FAILPOINTS="unsafe.past,unsafe.ledger")
    with Follower(running) as follower:
        follower.applied()
        assert set(follower.profiles()) <= set(USERS), "the others are gone without a word"
    now = heard(running)
    beyond = sum(number > CAP for number in now.values())
    assert beyond > 0
    cases.unprotected(
        "35-lost-past", f"{beyond} of {len(USERS)} customers hear more than {CAP} messages, no profile is left"
    )


def test_a_lane_that_is_new_begins_with_what_its_events_still_are(running: Settings) -> None:
    produce(running, "customer.events", [did(user, "Page") for user in USERS])
    for partition in range(running.partitions):
        delete_records(running, "customer.events", 2, partition)
    with Follower(running) as follower, worker("personalise", running) as process:

        def all_applied() -> bool:
            assert process.poll() is None, log_of(running)[-2000:]
            follower.applied()
            return len(follower.profiles()) == len(USERS) - 2 * running.partitions

        wait_until(all_applied, 60, "what is left is applied")
    assert "starts empty, without" not in log_of(running)
