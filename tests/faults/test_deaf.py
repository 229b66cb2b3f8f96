"""The topic by which people tell workers to pause is deleted, or made anew: no worker goes on without hearing them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import pytest

from schemas import codec
from schemas.control import ControlSwitch
from tests.faults.table import Cases, Row
from tests.support.faults import create_topic, delete_topic, log_of
from tests.support.waiting import wait_until
from tests.support.workers import ROOT, prepare, produce, worker
from workers.adapters.kafka.broadcast_state import Broadcast, Follower, follow_pool
from workers.adapters.kafka.reader import TopicReader
from workers.adapters.process import failpoints
from workers.adapters.process.exit_codes import Exit
from workers.core.decisioning.control_state import SWITCHES
from workers.core.generation.pool.entries import POOL
from workers.core.stream.records import Record
from workers.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

#: How long a topic may be gone in these tests [s].
LIMIT_S = 3.0


@pytest.fixture
def running(settings: Settings) -> Settings:
    return prepare(settings.changed(playbook=str(ROOT / "playbooks" / "rees46")))


def pause(*scopes: str) -> list[tuple[bytes | None, bytes | None]]:
    now = datetime.now(UTC)
    switches = [ControlSwitch(scope=scope, state="paused", changed_at=now) for scope in scopes]
    return [(switch.scope.encode(), codec.encode(switch)) for switch in switches]


def made_anew(settings: Settings, *scopes: str) -> None:
    delete_topic(settings, SWITCHES)
    create_topic(settings, SWITCHES, cleanup_policy="compact")
    produce(settings, SWITCHES, pause(*scopes))


def test_a_worker_hears_a_pause_in_a_topic_that_was_made_anew_and_ends_when_there_is_none(
    running: Settings, cases: Cases
) -> None:
    produce(running, SWITCHES, pause("campaign:old"))
    with worker("personalise", running) as process:
        wait_until(lambda: "is open" in log_of(running), 60, "it has lanes")
        # switches   ├ old ┤ deleted ├ all, channel:push ┤ deleted
        # worker     ├─ old is paused ─────── all is paused ──────── 30 s ✗ 78
        made_anew(running, "all", "channel:push")
        wait_until(lambda: "paused now: all, campaign:old, channel:push" in log_of(running), 60, "it hears the pause")
        delete_topic(running, SWITCHES)
        assert process.wait(120) == Exit.MISCONFIGURED, log_of(running)[-2000:]
    assert "it can no longer follow the pause switches: there is no topic" in log_of(running)
    assert "Hint: `attune topics apply` creates it" in log_of(running)
    injected = "control.switches deleted and made anew, longer than before; then deleted"
    cases.passed("34-deaf", Row(case="people cannot be heard", injected=injected, lost=0, duplicated=0, differences=0))


def test_without_looking_at_its_topics_a_follower_goes_on_deaf(
    running: Settings, cases: Cases, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The proof that the test above can fail."""
    polls, ended, poll = list[float](), list[int](), TopicReader.poll

    def counted(reader: TopicReader, timeout_s: float) -> list[Record]:
        polls.append(timeout_s)
        return poll(reader, timeout_s)

    monkeypatch.setattr(TopicReader, "poll", counted)
    unwatched = failpoints.while_armed(failpoints.UNSAFE_TOPICS)
    with unwatched, Follower(running, (SWITCHES,), end_process=ended.append, missing_limit_s=LIMIT_S):
        delete_topic(running, SWITCHES)
        gone_at = len(polls)
        wait_until(lambda: sum(polls[gone_at:]) > 4 * LIMIT_S, 60, "it has listened for four times its limit")
    assert ended == []
    assert caplog.text == ""
    cases.unprotected(
        "34-deaf", f"the topic is gone for {4 * LIMIT_S:.0f} s, four times the limit, and nothing is said"
    )


def test_a_topic_that_is_gone_for_a_moment_ends_nothing_and_its_old_words_hold(running: Settings) -> None:
    ended = list[int]()
    with Follower(running, (SWITCHES,), end_process=ended.append) as follower:
        produce(running, SWITCHES, pause("all"))
        wait_until(lambda: follower.current.paused, 30, "the first switch is heard")
        made_anew(running, "channel:push")
        wait_until(lambda: follower.current.paused == {"all", "channel:push"}, 60, "old and new words hold")
    assert ended == []


@pytest.mark.parametrize(
    ("topic", "follow"),
    [(SWITCHES, partial(Follower, topics=(SWITCHES,))), (POOL, follow_pool)],
    ids=["switches", "pool"],
)
def test_a_follower_of_a_topic_that_stays_away_ends_its_process(
    running: Settings, topic: str, follow: Callable[..., Broadcast[object]], caplog: pytest.LogCaptureFixture
) -> None:
    ended, codes = threading.Event(), list[int]()

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    with follow(running, end_process=end, missing_limit_s=LIMIT_S):
        delete_topic(running, topic)
        assert ended.wait(60)
    assert codes == [Exit.MISCONFIGURED]
    assert f"there is no topic {running.topic(topic)} any more" in caplog.text
