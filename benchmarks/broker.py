"""Creates, fills, reads and deletes topics for the benchmark and its programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic  # where the library defines it

COMPACTED = {"cleanup.policy": "compact"}
#: Without these settings, a consumer whose queue was full waits up to a second before it fetches again.
FETCH = {"fetch.queue.backoff.ms": 5, "queued.min.messages": 100_000}


def create(brokers: str, names: Iterable[str], partitions: int = 4, config: Mapping[str, str] | None = None) -> None:
    """Creates topics; existing ones stay unchanged."""
    admin = AdminClient({"bootstrap.servers": brokers, "log_level": 2})
    new = [NewTopic(name, partitions, 1, config=dict(config or {})) for name in names]
    for future in admin.create_topics(new).values() if new else ():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def delete(brokers: str, names: Iterable[str]) -> None:
    """Deletes topics, so that a long benchmark does not fill the disk; missing ones are ignored."""
    admin, unused = AdminClient({"bootstrap.servers": brokers, "log_level": 2}), list(names)
    for future in admin.delete_topics(unused).values() if unused else ():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise


def topics(brokers: str) -> list[str]:
    """Returns the names of all topics."""
    return list(AdminClient({"bootstrap.servers": brokers, "log_level": 2}).list_topics(timeout=10).topics)


def fill(
    brokers: str,
    topic: str,
    records: Iterable[tuple[bytes, bytes]],
    partition_of: Callable[[bytes], int] = lambda _key: -1,
) -> int:
    """Produces (key, value) records, each to the partition `partition_of` its key (-1 = murmur2); returns their number."""
    producer = Producer(
        {
            "bootstrap.servers": brokers,
            "partitioner": "murmur2_random",
            "enable.idempotence": True,  # otherwise a retry on a busy machine would change the order, and the oracle would differ
            "linger.ms": 20,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 500_000,
        }
    )
    number = 0
    for key, value in records:
        while True:
            try:
                producer.produce(topic, key=key, value=value, partition=partition_of(key))
                break
            except BufferError:
                producer.poll(0.05)
        number += 1
        if number % 1000 == 0:
            producer.poll(0)
    assert producer.flush(120) == 0, f"{topic} could not be filled"
    return number


def read_to_end(brokers: str, topic: str) -> Iterator[tuple[bytes, bytes | None]]:
    """Yields every committed (key, value) of a topic, each partition in order."""
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": f"reader-{topic}",  # never joined, never committed
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            **FETCH,
        }
    )
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        ended: set[int] = set()
        while len(ended) < len(partitions):
            for message in consumer.consume(5000, 1.0):
                if (error := message.error()) is not None:
                    if error.code() != KafkaError._PARTITION_EOF:  # the library has no public name for it
                        raise KafkaException(error)
                    ended.add(message.partition() or 0)
                elif (key := message.key()) is not None:
                    yield key, message.value()
    finally:
        consumer.close()


def newest_values(brokers: str, topic: str) -> dict[bytes, bytes]:
    """Returns the final content of a changelog: the newest value of each key that was not deleted."""
    newest: dict[bytes, bytes | None] = dict(read_to_end(brokers, topic))
    return {key: value for key, value in newest.items() if value is not None}
