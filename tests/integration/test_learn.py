"""learn as a process on a real broker: killed where it hurts, it says what an uninterrupted reader of all records would."""

from __future__ import annotations

import random
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from schemas import codec
from schemas.learning import FeedbackMetrics, PolicySnapshot
from tests.support.learning import HOUR, Input, Oracle, decision, feedback, newest_metrics, order, outcome, sums_of
from tests.support.waiting import wait_until
from tests.support.workers import prepare, produce, read, worker
from workers.adapters.kafka.partitioner import partition_of
from workers.adapters.playbook.loader import load_for as load_playbook
from workers.adapters.process.failpoints import EXIT_CODE
from workers.settings import Settings

pytestmark = pytest.mark.kafka

CUSTOMERS = 150
FAST = {"ATTUNE_SNAPSHOT_INTERVAL_S": "0.2"}


def history(now_s: float) -> list[Input]:
    """What became of some hundred decisions of the last 30 hours: some are matured, some are open."""
    rng = random.Random(9)
    made: list[Input] = []
    for number in range(CUSTOMERS * 4):
        user, at_s = f"customer-{number % CUSTOMERS}", now_s - rng.uniform(60, 30 * HOUR)
        reason = rng.choice(("requested", "requested", "requested", "holdout", "no_action_chosen", "consent"))
        arm = rng.choice(("warm", "plain"))
        made.append(decision(number, at_s, user, reason, variation_id=arm))
        if reason != "requested":
            continue
        made.append(outcome(number, at_s + 5, user, rng.choice(("published", "published", "published", "stale"))))
        happened = [status for status in ("sent", "delivered", "opened", "clicked") if rng.random() < 0.6]
        made += [
            feedback(f"{status}-{number}", number, status, min(now_s, at_s + rng.uniform(20, HOUR)), user)
            for status in happened
        ]
    for number in range(CUSTOMERS):
        user = f"customer-{rng.randrange(CUSTOMERS)}"
        made.append(
            order(f"order-{number}", now_s - rng.uniform(0, 30 * HOUR), user, total=round(rng.uniform(5, 90), 2))
        )
    return made


def send(settings: Settings, values: list[Input]) -> None:
    """Each value to its topic; the topics one after another, so that feedback is often there before its decision."""
    topics = {"Decision": "message.decisions", "Outcome": "message.outcomes", "Feedback": "message.feedback"}
    by_topic: dict[str, list[tuple[bytes | None, bytes | None]]] = {}
    for value in values:
        topic = topics.get(type(value).__name__, "customer.events")
        by_topic.setdefault(topic, []).append(((value.user_id or "").encode(), codec.encode(value)))
    for topic in ("message.feedback", "customer.events", "message.outcomes", "message.decisions"):
        produce(settings, topic, by_topic.get(topic, []))


def told(settings: Settings) -> dict[str, FeedbackMetrics]:
    """The newest record of each key of feedback.metrics."""
    return newest_metrics((record.key, record.value) for record in read(settings, "feedback.metrics"))


def decisions_told(settings: Settings) -> int:
    return sum(row.decisions for row in told(settings).values())


def oracles(settings: Settings, values: list[Input]) -> list[Oracle]:
    """One a partition."""
    learning, by_partition = load_playbook(settings).policy.learning, list[list[Input]]()
    by_partition = [[] for _ in range(settings.partitions)]
    for value in values:
        by_partition[partition_of((value.user_id or "").encode(), settings.partitions)].append(value)
    return [Oracle(part, learning, time.time(), number) for number, part in enumerate(by_partition)]


def check(settings: Settings, values: list[Input]) -> None:
    """All that was told is what the oracle says: counts now, evidence at the moment of the newest snapshot."""
    parts = oracles(settings, values)
    expected = {key: row for part in parts for key, row in part.rows.items()}
    assert sums_of(told(settings)) == expected
    newest = {record.key: record for record in read(settings, "policy.snapshots")}
    assert len(newest) == settings.partitions
    for key, record in newest.items():
        snapshot = codec.decode(PolicySnapshot, record.value)
        assert key == f"cart|{snapshot.partition}".encode()
        evidence = parts[snapshot.partition].statistics("cart", snapshot.taken_at.timestamp())
        shown = {
            (arm.context, arm.arm): (arm.trials, arm.pending, arm.rewards, arm.reward_squares) for arm in snapshot.arms
        }
        assert shown.keys() == evidence.keys()
        for arm, numbers in shown.items():
            assert numbers == pytest.approx(evidence[arm], abs=1e-9)


def wait_told(settings: Settings, process: subprocess.Popen[bytes], values: list[Input]) -> None:
    """Until the counts are those of all values; a worker that died by itself is a failure at once."""
    expected = {key: row for part in oracles(settings, values) for key, row in part.rows.items()}

    def done() -> bool:
        assert process.poll() is None, f"the worker ended with {process.returncode}"
        return sums_of(told(settings)) == expected

    try:
        wait_until(done, 60, "all counts told")
    except AssertionError:
        assert sums_of(told(settings)) == expected  # shows the difference
        raise


@pytest.mark.parametrize("failpoint", ["lane.before_commit", "lane.after_commit"])
def test_a_crash_in_the_middle_of_a_commit_changes_no_count(settings: Settings, failpoint: str) -> None:
    running, values = prepare(settings), history(time.time())
    send(running, values)
    for hits in (1, 3, 6):
        crash = {"ATTUNE_FAILPOINTS": f"{failpoint}={hits}", "ATTUNE_BATCH_RECORDS": "60"}
        with worker("learn", running, **FAST, **crash) as process:
            assert process.wait(60) == EXIT_CODE
    with worker("learn", running, **FAST) as process:
        wait_told(running, process, values)
        process.terminate()
        assert process.wait(30) == 0
    check(running, values)


def wait_more(settings: Settings, before: int) -> None:
    """Until more decisions are counted than before."""
    wait_until(lambda: decisions_told(settings) > before, 60, "more decisions counted")


def test_random_kills_while_records_come_change_no_count(settings: Settings) -> None:
    running, values, rng = prepare(settings), history(time.time()), random.Random(4)
    rng.shuffle(values)
    fifth = len(values) // 5
    for part in range(4):
        send(running, values[part * fifth : (part + 1) * fifth])
        before = decisions_told(running)
        with worker("learn", running, **FAST, ATTUNE_BATCH_RECORDS="50") as process:
            wait_more(running, before)
            process.kill()
    send(running, values[4 * fifth :])
    send(running, rng.sample(values, fifth))  # some come again
    elsewhere = running.changed(data_dir=running.data_dir + "-elsewhere")  # the local state is lost
    with worker("learn", elsewhere, **FAST) as process:
        wait_told(running, process, values)
        process.terminate()
        assert process.wait(30) == 0
    check(running, values)


def test_bad_input_is_counted_and_stops_nothing(settings: Settings) -> None:
    running, now_s = prepare(settings), time.time()
    sent: list[Input] = [decision(1, now_s - 600), outcome(1, now_s - 590), feedback("f0", 1, "delivered", now_s - 500)]
    ignored: list[Input] = [
        feedback("f1", 1, "clicked", now_s + 3000),
        feedback("f2", 1, "clicked", now_s - 2000),
        feedback("f3", 1, "clicked", now_s - 580),
        feedback("f4", 1, "converted", now_s, revenue=5.0),
        feedback("f5", 1, "converted", now_s, revenue=-5.0, currency="EUR"),
    ]
    good = codec.encode(feedback("f6", 1, "rated", now_s, rating=1))
    bad = [(b"ana", b"{"), (b"ana", good.replace(b'"rating":1', b'"rating":11')), (b"bo", good), (b"ana", None)]
    bad.append((b"ana", good.replace(b'"rated"', b'"read"')))
    with worker("learn", running, **FAST) as process:
        send(running, [*sent, *ignored])
        produce(running, "message.feedback", [*bad, (b"ana", good)])
        wait_until(lambda: [row.rated for row in told(running).values()] == [1], 60, "the good one counts")
        (row,) = told(running).values()
        page = metrics_page(running)
        assert process.poll() is None
    assert (row.clicked, row.converted, row.published, row.delivered) == (0, 0, 1, 1)
    reasons = ("future", "before_message", "before_delivery", "revenue_without_currency", "bad_revenue")
    assert row.ignored == dict.fromkeys(sorted(reasons), 1)
    assert read(running, "dead.letters") == [], "those are of personalise, which is not here"
    for reason, times in (("broken_json", 1), ("null_value", 1), ("wrong_type", 2)):
        assert f'attune_learn_ignored_total{{reason="{reason}",topic="message.feedback"}} {times}.0' in page
    for reason in reasons:
        assert f'attune_feedback_ignored_total{{reason="{reason}"}} 1.0' in page


def metrics_page(settings: Settings) -> str:
    """What the running worker serves to Prometheus."""
    log = (Path(settings.data_dir) / "learn.log").read_text()
    address = log.rpartition("metrics on ")[2].split()[0]
    with urllib.request.urlopen(address, timeout=5) as response:  # noqa: S310 # our own address
        return str(response.read().decode())
