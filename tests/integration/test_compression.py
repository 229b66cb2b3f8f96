"""Which codec lies on the broker: what programs of others read must need no extra package in any language."""

from __future__ import annotations

import pytest

from infra.kafka.embedded import EmbeddedKafka
from schemas.topics import TOPICS
from tests.support.workers import prepare
from workers.adapters.kafka import topic_admin
from workers.adapters.kafka.config import client_config
from workers.adapters.lanes.transactions import LaneProducer
from workers.core.stream.records import Output
from workers.settings import Settings

pytestmark = pytest.mark.kafka

#: The lowest three bits of a batch's attributes (Kafka's record format, version 2).
CODECS = {0: "none", 1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
ATTRIBUTES = 22  # the low byte of the attributes, from the batch's beginning
CONTROL = 0x20  # a transaction's marker, not compressed


def codecs_on_disk(kafka: EmbeddedKafka, topic: str) -> set[str]:
    """The codecs of a topic's batches, as the broker keeps them."""
    found: set[str] = set()
    for segment in kafka.data_dir.glob(f"**/{topic}-*/*.log"):
        data, at = segment.read_bytes(), 0
        while at + 61 <= len(data) and (length := int.from_bytes(data[at + 8 : at + 12], "big")):
            attributes = data[at + ATTRIBUTES]
            if not attributes & CONTROL:
                found.add(CODECS[attributes & 7])
            at += 12 + length
    return found


def write_as_a_lane(settings: Settings, topic: str) -> None:
    producer = LaneProducer(client_config(settings), f"{settings.prefix}{topic}", 30.0, settings.compression)
    producer.fence()
    outputs = [Output(topic=topic, key=b"u-%d" % number, value=b'{"some": "json"}' * 20) for number in range(100)]
    producer.commit(outputs, prefix=settings.prefix, partition=None)
    producer.close()


@pytest.mark.parametrize(("topic", "codec"), [("messages.email", "gzip"), ("customer.events", "lz4")])
def test_senders_topics_are_gzip_and_the_busy_ones_stay_as_they_are_written(
    kafka: EmbeddedKafka, settings: Settings, topic: str, codec: str
) -> None:
    prepare(settings)
    write_as_a_lane(settings, topic)
    assert codecs_on_disk(kafka, settings.topic(topic)) == {codec}


def test_both_settings_are_honoured(kafka: EmbeddedKafka, settings: Settings) -> None:
    plain = settings.changed(compression="none", topic_compression="producer")
    prepare(plain)
    write_as_a_lane(plain, "messages.email")
    write_as_a_lane(plain, "customer.events")
    for topic in ("messages.email", "customer.events"):
        assert codecs_on_disk(kafka, settings.topic(topic)) == {"none"}


def test_topics_of_an_installation_that_runs_get_the_codec(settings: Settings) -> None:
    older = settings.changed(topic_compression="producer")
    topic_admin.apply(older)
    drifted = {row.topic.name: row.alter for row in topic_admin.apply(settings) if row.alter}
    assert drifted == {settings.topic(topic.name): {"compression.type": "gzip"} for topic in TOPICS if not topic.busy}
    assert {row.state for row in topic_admin.show(settings)} == {"ok"}
