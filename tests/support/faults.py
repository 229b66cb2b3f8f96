"""Helpers of the fault tests: a shop's history with its oracle, a follower of committed records, topics that are recreated."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

import msgspec
from confluent_kafka import Consumer, KafkaException, Producer, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.cimpl import NewTopic

from schemas import codec
from tests.support.waiting import wait_until
from tests.support.workers import read
from workers.adapters.kafka.config import client_config
from workers.adapters.state.checkpoint import Marker
from workers.adapters.state.recovery import MARKER_KEY
from workers.adapters.state.rocksdb import RocksStore
from workers.core.partition import keys
from workers.core.profile import model as profiles
from workers.core.profile.model import Profile
from workers.settings import Settings

#: `FAULTS=full` runs the fault tests at full size. It stays in the environment, because pytest's processes inherit it.
FULL = os.environ.get("FAULTS") == "full"
Entry: TypeAlias = tuple[bytes | None, bytes | None]
decode_marker = msgspec.msgpack.Decoder(Marker).decode
#: Far in the past: repeated events older than a week are not detected as duplicates, so that only the delivery guarantee
#: prevents a wrong count after a crash.
LONG_AGO_S = 1_709_553_600.0
#: Output topic → the field of its records that must be unique.
IDENTITIES = {
    "message.decisions": "decision_id",
    "message.requests": "decision_id",
    "message.outcomes": "decision_id",
    "messages.email": "message_id",
    "messages.push": "message_id",
}


class Customer(msgspec.Struct):
    """The state of a customer according to the oracle, which sees each event once."""

    counts: Counter[str] = msgspec.field(default_factory=Counter)
    carts: dict[str, dict[str, int]] = {}
    orders: int = 0
    revenue: float = 0.0

    @property
    def events(self) -> int:
        return self.counts.total()


class Shop:
    """Generates events (the same for the same arguments) and their oracle: an independent reducer, not our fold.

    The first event is at `began_s` [s since the epoch], each further one `step_s` later. `hot`: share of the events that belong
    to one hot customer.
    """

    def __init__(
        self, customers: int, seed: int = 5, began_s: float = LONG_AGO_S, step_s: float = 1.0, hot: float = 0.0
    ) -> None:
        self.customers: dict[str, Customer] = {}
        self.made = 0
        self._began_s, self._step_s, self._hot = began_s, step_s, hot
        self._rng = random.Random(seed)
        self._names = [f"customer-{number}" for number in range(customers)]

    def events(self, number: int) -> Iterator[Entry]:
        """Yields the next events, as records of customer.events."""
        for _ in range(number):
            yield self._event()

    def _event(self) -> Entry:
        rng, index = self._rng, self.made
        self.made += 1
        user = self._names[0] if self._hot and rng.random() < self._hot else rng.choice(self._names)
        customer = self.customers.setdefault(user, Customer())
        name = rng.choice(("Product Viewed", "Product Added", "Product Added", "Product Removed", "Order Completed"))
        customer.counts[name] += 1
        properties = getattr(self, name.replace(" ", "_").lower())(customer)
        event = {
            "type": "track",
            "event": name,
            "messageId": f"m-{index}",
            "timestamp": datetime.fromtimestamp(self._began_s + self._step_s * index, UTC).isoformat(),
            "userId": user,
            "properties": properties,
        }
        return user.encode(), json.dumps(event).encode()

    def product_viewed(self, _customer: Customer) -> dict[str, object]:
        return {"product_id": f"p-{self._rng.randrange(20)}", "price": 9.5}

    def product_added(self, customer: Customer) -> dict[str, object]:
        cart, product, quantity = f"c-{customer.orders}", f"p-{self._rng.randrange(8)}", self._rng.randrange(1, 4)
        lines = customer.carts.setdefault(cart, {})
        lines[product] = lines.get(product, 0) + quantity
        return {"cart_id": cart, "product_id": product, "quantity": quantity, "price": 9.5, "currency": "EUR"}

    def product_removed(self, customer: Customer) -> dict[str, object]:
        cart, product = f"c-{customer.orders}", f"p-{self._rng.randrange(8)}"
        lines = customer.carts.get(cart, {})
        if lines.get(product, 0) <= 1:
            lines.pop(product, None)
        else:
            lines[product] -= 1
        if not lines:
            customer.carts.pop(cart, None)
        return {"cart_id": cart, "product_id": product, "quantity": 1}

    def order_completed(self, customer: Customer) -> dict[str, object]:
        cart, revenue = f"c-{customer.orders}", float(self._rng.randrange(1, 100))
        customer.carts.pop(cart, None)
        customer.orders += 1
        customer.revenue += revenue
        return {"cart_id": cart, "order_id": f"o-{self.made}", "revenue": revenue, "currency": "EUR"}


class Follower:
    """Follows the commits of `personalise` without ever starting over: markers, and the newest state of each key."""

    def __init__(self, settings: Settings, isolation: str = "read_committed") -> None:
        self.newest: dict[bytes, bytes] = {}
        #: How often a lane's marker decreased: a batch was written twice, or by a worker that no longer owned its lane.
        self.regressions = 0
        self._applied: dict[int, int] = {}
        self._consumer = Consumer(
            {
                **client_config(settings),
                "group.id": "test-follower",
                "isolation.level": isolation,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.queue.backoff.ms": 5,
            }
        )
        topic = settings.topic("personalise-state")
        self._consumer.assign([TopicPartition(topic, partition, 0) for partition in range(settings.partitions)])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def applied(self) -> int:
        """Returns how many records of customer.events are applied, over all lanes (their offsets have no gaps here)."""
        while messages := self._consumer.consume(20_000, 0.1):
            for message in messages:
                key, value = message.key(), message.value()
                assert message.error() is None, message.error()
                if key == MARKER_KEY and value is not None:
                    offset = decode_marker(value).offsets.get("customer.events", 0)
                    partition = message.partition() or 0
                    self.regressions += offset < self._applied.get(partition, 0)
                    self._applied[partition] = offset
                elif key == keys.PENDING:
                    pass  # each lane's own count, under one key
                elif key is not None and value is not None:
                    self.newest[key] = value
                elif key is not None:
                    self.newest.pop(key, None)
        return sum(self._applied.values())

    def profiles(self) -> dict[str, Profile]:
        """Returns every profile, as far as `applied` has read."""
        hot = {key: value for key, value in self.newest.items() if key.startswith(keys.PROFILE)}
        return {key[1:].decode(): profiles.decode(value) for key, value in hot.items()}


def differences(found: dict[str, Profile], shop: Shop) -> list[str]:
    """Describes the customers whose profiles differ from the oracle; at most ten."""
    if found.keys() != shop.customers.keys():
        return [f"other customers: {sorted(found.keys() ^ shop.customers.keys())[:10]}"]
    wrong = []
    for user, expected in shop.customers.items():
        profile = found[user]
        carts = {name: {key: line.quantity for key, line in cart.lines.items()} for name, cart in profile.carts.items()}
        actual = (profile.events, profile.counts, carts, profile.orders, profile.revenue.get("EUR", 0.0))
        right = (expected.events, dict(expected.counts), expected.carts, expected.orders, expected.revenue)
        if actual != right:
            wrong.append(f"{user}: {actual}, expected {right}")
    return wrong[:10]


def repeated(settings: Settings, isolation: str = "read_committed") -> dict[str, int]:
    """Returns topic → number of records that repeat an ID; empty if there are none."""
    found: dict[str, int] = {}
    for topic, field in IDENTITIES.items():
        records = read(settings, topic, isolation)
        ids = {getattr(codec.decode_topic(topic, record.value), field) for record in records}
        if len(ids) < len(records):
            found[topic] = len(records) - len(ids)
    return found


def local_state(settings: Settings) -> dict[bytes, bytes]:
    """Returns the changelog's keys and values in RocksDB, over all lanes of a stopped worker."""
    found: dict[bytes, bytes] = {}
    for path in sorted((Path(settings.data_dir) / "state" / f"{settings.prefix}personalise").glob("[0-9]*")):
        store = RocksStore(path)
        for kind in (keys.PROFILE, keys.COLD, keys.PAGE, keys.PACE):
            found.update({key: value for key in store.scan(kind) if (value := store.get(key)) is not None})
        store.close()
    return found


def log_of(settings: Settings, role: str = "personalise") -> str:
    """Returns the log of a worker of this installation."""
    path = Path(settings.data_dir) / f"{role}.log"
    return path.read_text() if path.exists() else ""


def is_stopped(pid: int) -> bool:
    """Returns whether a process was stopped by a signal and waits for SIGCONT."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def admin(settings: Settings) -> AdminClient:
    """Returns an admin client. Keep it until its futures are done: they are cancelled with it."""
    return AdminClient({**client_config(settings), "log_level": 2})


def create_topic(settings: Settings, name: str, partitions: int = 1, **config: str) -> str:
    """Creates a topic; returns its name on the cluster once it can be used. Underscores in setting names stand for dots."""
    topic = settings.topic(name)
    options = {key.replace("_", "."): value for key, value in config.items()}
    client = admin(settings)
    client.create_topics([NewTopic(topic, partitions, 1, config=options)])[topic].result()
    wait_until(lambda: _is_known(client, topic), 60, f"the broker knows {topic}")
    return topic


def _is_known(client: AdminClient, topic: str) -> bool:
    """Returns whether the broker, which replies from its controller's metadata, knows the topic."""
    try:
        client.describe_topics(TopicCollection([topic]))[topic].result()
    except KafkaException:
        return False
    return True


def delete_topic(settings: Settings, name: str) -> None:
    """Deletes a topic; returns once the broker no longer knows it, so that a recreated topic is not mistaken for it."""
    topic = settings.topic(name)
    client = admin(settings)
    client.delete_topics([topic], operation_timeout=30)[topic].result()
    wait_until(lambda: not _is_known(client, topic), 60, f"the broker has forgotten {topic}")


def alter_topic(settings: Settings, name: str, **config: str) -> None:
    """Alters settings of a topic; returns once the broker knows them. Underscores in their names stand for dots."""
    expected = {key.replace("_", "."): value for key, value in config.items()}
    entries = [ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in expected.items()]
    topic = settings.topic(name)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=entries)
    client = admin(settings)
    client.incremental_alter_configs([resource])[resource].result()

    def is_known() -> bool:
        queried = ConfigResource(ConfigResource.Type.TOPIC, topic)
        current = client.describe_configs([queried])[queried].result()
        return all(current[key].value == value for key, value in expected.items())

    wait_until(is_known, 60, f"the broker knows {expected} of {topic}")


def delete_records(settings: Settings, name: str, before: int, partition: int = 0) -> None:
    """Deletes the records of a partition before an offset, like retention."""
    where = TopicPartition(settings.topic(name), partition, before)
    client = admin(settings)
    for future in client.delete_records([where]).values():
        future.result()


class Changelog:
    """Writes one partition of a changelog like a lane: transactions that end with a marker."""

    def __init__(self, settings: Settings, topic: str, partition: int = 0) -> None:
        self.topic, self._partition = topic, partition
        self.offsets = 0
        self._producer = Producer(
            {
                **client_config(settings),
                "transactional.id": f"{topic}-{partition}",
                "queue.buffering.max.messages": 500_000,
                "linger.ms": 5,
                "compression.type": "lz4",
            }
        )
        self._producer.init_transactions(30)

    def write(self, records: list[tuple[bytes, bytes | None]], *, commit: bool = True) -> None:
        """Writes these values (None = tombstone) and a marker in one transaction, which is committed or aborted."""
        self._producer.begin_transaction()
        if commit:
            self.offsets += len(records)
        marker = msgspec.msgpack.encode(Marker(offsets={"customer.events": self.offsets}, clock_s=1.0))
        for key, value in (*records, (MARKER_KEY, marker)):
            self._producer.produce(self.topic, key=key, value=value, partition=self._partition)
            self._producer.poll(0)
        if commit:
            self._producer.commit_transaction(30)
        else:
            self._producer.flush(30)
            self._producer.abort_transaction(30)
