"""A request to commit that is late: it must not end the transaction that runs when it comes at last."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from infra.kafka.embedded import EmbeddedKafka
from infra.kafka.ports import pick_port
from infra.kafka.properties import HOST, Forwarded
from tests.faults.table import Cases, Row
from tests.support.faults import FULL, create_topic
from tests.support.proxy import Proxy
from tests.support.waiting import wait_until
from tests.support.workers import read
from workers.adapters.kafka.config import client_config
from workers.adapters.lanes.transactions import IN_DOUBT_S, LaneProducer
from workers.adapters.process import failpoints
from workers.adapters.state.checkpoint import Marker
from workers.core.errors import Fatal, Fenced
from workers.core.stream.records import Output
from workers.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(3600 if FULL else 240)]

ROUNDS, UNPROTECTED_ROUNDS = (1_000, 20) if FULL else (10, 5)
#: Records of a batch, half of which are on the broker when the late request comes.
BATCH = 10
LATE_REFUSALS = {KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_TXN_STATE}


class Died(Exception):
    """The worker ends in the middle of its batch."""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EmbeddedKafka, Proxy]]:
    """A broker with two ways in: its own port, and one that leads through the proxy."""
    inner = pick_port()
    with Proxy(inner) as proxy:
        forwarded = Forwarded(inner, f"{HOST}:{proxy.port}")
        with EmbeddedKafka(tmp_path_factory.mktemp("proxied"), forwarded=forwarded) as broker:
            yield broker, proxy


@pytest.fixture
def direct(network: tuple[EmbeddedKafka, Proxy], tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """As those see it who do not go through the proxy."""
    prefix = f"t{sha256(request.node.nodeid.encode()).hexdigest()[:10]}."
    settings = Settings(brokers=network[0].bootstrap, prefix=prefix, data_dir=str(tmp_path))
    create_topic(settings, "out")
    create_topic(settings, "state", cleanup_policy="compact")
    return settings


class Batches:
    """A lane's batches, sent through the proxy by a producer as lanes have it."""

    def __init__(self, settings: Settings, proxy: Proxy, timeout_s: float = 30.0) -> None:
        self._settings, self._timeout_s = settings, timeout_s
        self._config = client_config(Settings(brokers=proxy.bootstrap, prefix=settings.prefix))
        self._proxy = proxy
        self._changelog = settings.topic("state"), 0
        self.made = 0
        self.begin()

    def begin(self) -> None:
        """A worker that starts, or starts again."""
        self.producer = LaneProducer(self._config, f"{self._settings.prefix}lane", self._timeout_s, "none")
        self.producer.fence()

    def commit(self, *, dies: bool = False) -> None:
        """A batch, complete unless the worker dies when half of it, and what was late before, is with the broker."""
        self.made += 1
        outputs = self._half_a_batch() if dies else (self._output(part) for part in range(BATCH))
        marker = Marker(offsets={"in": self.made})
        self.producer.commit(
            outputs, prefix=self._settings.prefix, partition=0, changelog=self._changelog, marker=marker
        )

    def _output(self, part: int) -> Output:
        return Output("out", None, f"{self.made}/{part}".encode())

    def _half_a_batch(self) -> Iterator[Output]:
        yield from (self._output(part) for part in range(BATCH // 2))
        assert self.producer._producer.flush(30) == 0
        answered = len(self._proxy.late)
        self._proxy.release_end_txn()
        wait_until(lambda: len(self._proxy.late) > answered, 30, "the late request is answered")
        raise Died

    def torn(self) -> int:
        """How many batches readers see in part."""
        seen = Counter((record.value or b"").partition(b"/")[0] for record in read(self._settings, "out"))
        return sum(number < BATCH for number in seen.values())


def late_commits(network: tuple[EmbeddedKafka, Proxy], settings: Settings, rounds: int) -> tuple[int, list[int]]:
    """(batches torn, what the broker answered to each late request)."""
    _, proxy = network
    batches = Batches(settings, proxy)
    held, answered = proxy.held, len(proxy.late)
    # lane    ├─ batch 1 ─ EndTxn ┄┄┄ cut, asked again: committed ├─ half of batch 2 ─ ✗ dies
    # proxy                   └────────── on its way ───────────────────────────▶ broker
    for number in range(rounds):
        proxy.hold_end_txn()
        batches.commit()
        assert proxy.held - held == number + 1
        with pytest.raises(Died):
            batches.commit(dies=True)
        batches.begin()
    return batches.torn(), proxy.late[answered:]


def test_a_commit_that_was_asked_for_twice_ends_no_later_transaction(
    network: tuple[EmbeddedKafka, Proxy], direct: Settings, cases: Cases
) -> None:
    torn, late = late_commits(network, direct, ROUNDS)
    assert torn == 0
    assert len(late) == ROUNDS
    assert set(late) <= LATE_REFUSALS, "the broker refuses what comes late"
    injected = f"{ROUNDS:,} requests to commit that come when the next batch is half written"
    row = Row(case="commits that come late", injected=injected, lost=0, duplicated=0, differences=torn)
    cases.passed("25-late-commits", row)


def test_without_a_new_epoch_a_late_commit_tears_the_next_batch(
    network: tuple[EmbeddedKafka, Proxy], direct: Settings, cases: Cases
) -> None:
    """The proof that the test above can fail."""
    with failpoints.while_armed(failpoints.UNSAFE_DOUBT):
        torn, late = late_commits(network, direct, UNPROTECTED_ROUNDS)
    assert torn > 0
    assert KafkaError.NO_ERROR in late, "it ended a transaction"
    cases.unprotected("25-late-commits", f"{torn} of {UNPROTECTED_ROUNDS} batches are seen in part")


def test_a_broker_that_is_slow_to_commit_ends_no_worker(
    network: tuple[EmbeddedKafka, Proxy], direct: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    _, proxy = network
    batches = Batches(direct, proxy)
    proxy.delay_end_txn(IN_DOUBT_S)
    caplog.set_level("INFO", "workers.adapters.lanes.transactions")
    for _ in range(5):
        batches.commit()
    proxy.delay_end_txn(0.0)
    assert len(read(direct, "out")) == 5 * BATCH
    assert caplog.text.count("a new producer takes over") == 5


def test_a_commit_without_an_answer_ends_the_worker_and_is_not_asked_for_again(
    network: tuple[EmbeddedKafka, Proxy], direct: Settings
) -> None:
    _, proxy = network
    batches = Batches(direct, proxy, timeout_s=2.0)
    batches.commit()
    proxy.delay_end_txn(6.0)
    with pytest.raises(Fatal, match="it is unknown whether its last transaction was committed"):
        batches.commit()
    proxy.delay_end_txn(0.0)
    batches.begin()
    batches.commit()
    seen = {(record.value or b"").partition(b"/")[0] for record in read(direct, "out")}
    assert seen >= {b"1", b"3"}
    assert batches.torn() == 0, "the one in doubt is there, or it is not"


def test_who_was_replaced_during_a_slow_commit_does_not_take_its_lane_back(
    network: tuple[EmbeddedKafka, Proxy], direct: Settings
) -> None:
    _, proxy = network
    slow = Batches(direct, proxy)
    committed, go_on = threading.Event(), threading.Event()
    renew = slow.producer._renew

    def renewed_late(took_s: float) -> None:
        committed.set()
        assert go_on.wait(30)
        renew(took_s)

    slow.producer._renew = renewed_late  # type: ignore[method-assign] # a sleep between two lines of the product
    proxy.delay_end_txn(IN_DOUBT_S)
    ended: list[BaseException] = []

    def work() -> None:
        try:
            slow.commit()
        except Fenced as error:
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert committed.wait(30)
    proxy.delay_end_txn(0.0)
    successor = Batches(direct, proxy)
    successor.commit()
    go_on.set()
    thread.join(30)
    assert [type(error) for error in ended] == [Fenced]
    with pytest.raises(Fenced):
        successor.commit()
