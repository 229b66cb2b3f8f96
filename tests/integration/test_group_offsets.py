"""What another group has committed, by the real client and a real broker, which may go away in the middle."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from infra.kafka.embedded import EmbeddedKafka
from tests.support.waiting import wait_until
from workers.adapters.kafka.group_offsets import GroupOffsets, Place
from workers.core.errors import Unavailable
from workers.settings import Settings


def commit(broker: EmbeddedKafka, group: str, offsets: dict[Place, int]) -> None:
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group})
    consumer.commit(offsets=[TopicPartition(*place, offset) for place, offset in offsets.items()], asynchronous=False)
    consumer.close()


def found(group: GroupOffsets) -> dict[Place, int]:
    """As soon as there is a coordinator: a broker that has just started has none yet."""
    seen: list[dict[Place, int]] = []

    def answers() -> bool:
        try:
            seen.append(group.read())
        except Unavailable:
            return False
        return True

    wait_until(answers, 60, "the coordinator")
    return seen[0]


def test_they_are_found_whoever_runs_and_a_broker_that_goes_and_comes_ends_nothing(tmp_path: Path) -> None:
    with EmbeddedKafka(tmp_path / "kafka") as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        for future in admin.create_topics([NewTopic("shop.events", 2), NewTopic("crm", 1)]).values():
            future.result(30)
        group = GroupOffsets(Settings(brokers=broker.bootstrap), "intake")
        assert found(group) == {}, "no such group"
        committed = {("shop.events", 1): 7, ("crm", 0): 3}
        commit(broker, "intake", committed)
        assert group.read() == committed
        broker.stop()
        with pytest.raises(Unavailable):
            group.read()
        broker.start()
        assert found(group) == committed
        group.close()
