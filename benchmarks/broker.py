"""What bench and programs do with the broker beside their work: create topics, fill one, read a changelog to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic  # where the library defines it

COMPACTED = {"cleanup.policy": "compact"}
#: Without this a consumer whose queue was full waits up to a second before it fetches again.
FETCH = {"fetch.queue.backoff.ms": 5, "queued.min.messages": 100_000}


def create(brokers: str, names: Iterable[str], partitions: int = 4, config: Mapping[str, str] | None = None) -> None:
    """Creates topics; one that exists already is left as it is."""
    admin = AdminClient({"bootstrap.servers": brokers, "log_level": 2})
    wanted = [NewTopic(name, partitions, 1, config=dict(config or {})) for name in names]
    for future in admin.create_topics(wanted).values() if wanted else ():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def delete(brokers: str, names: Iterable[str]) -> None:
    """Deletes topics, so that a long bench does not fill the disk; one that is gone is no error."""
    admin, gone = AdminClient({"bootstrap.servers": brokers, "log_level": 2}), list(names)
    for future in admin.delete_topics(gone).values() if gone else ():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise


def topics(brokers: str) -> list[str]:
    """The names of all topics."""
    return list(AdminClient({"bootstrap.servers": brokers, "log_level": 2}).list_topics(timeout=10).topics)


def fill(
    brokers: str,
    topic: str,
    records: Iterable[tuple[bytes, bytes]],
    partition_of: Callable[[bytes], int] = lambda _key: -1,
) -> int:
    """Produces (key, value) records, each to the partition `partition_of` its key (-1 = murmur2); returns how many."""
    producer = Producer(
        {
            "bootstrap.servers": brokers,
            "partitioner": "murmur2_random",
            "enable.idempotence": True,  # a retry on a busy machine would change the order, and the oracle would notice
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
    """Every committed (key, value) of a topic, each partition in its order."""
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
                    if error.code() != KafkaError._PARTITION_EOF:  # the library's name for it
                        raise KafkaException(error)
                    ended.add(message.partition() or 0)
                elif (key := message.key()) is not None:
                    yield key, message.value()
    finally:
        consumer.close()


def newest_values(brokers: str, topic: str) -> dict[bytes, bytes]:
    """What a changelog says in the end: the newest value of each key that was not deleted."""
    newest: dict[bytes, bytes | None] = dict(read_to_end(brokers, topic))
    return {key: value for key, value in newest.items() if value is not None}
