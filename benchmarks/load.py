"""The load that every program of the benchmark reads: Segment events of many customers, four partitions."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime

from confluent_kafka import Producer

from workers.adapters.kafka_config import client_config
from workers.settings import Settings

NAMES = (
    ["Page Viewed"] * 60
    + ["Product Viewed"] * 25
    + ["Product Added"] * 9
    + ["Product Removed"] * 2
    + ["Order Completed"] * 4
)
START_S = 1_709_553_600.0


def fill(settings: Settings, topic: str, events: int, customers: int, seed: int = 7) -> None:
    """Produces `events` events (about 300 bytes of JSON, keyed by customer) to a topic."""
    rng = random.Random(seed)
    producer = Producer(
        {
            **client_config(settings),
            "partitioner": "murmur2_random",
            "linger.ms": 20,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    for index in range(events):
        user = f"c{rng.randrange(customers)}"
        name = rng.choice(NAMES)
        properties: dict[str, object] = {"session_id": f"s-{user}"}
        if name != "Page Viewed":
            properties |= {
                "product_id": f"p{rng.randrange(500)}",
                "price": 19.9,
                "category": "wearables",
                "cart_id": f"cart-{user}",
                "currency": "EUR",
            }
        event = {
            "type": "track",
            "event": name,
            "messageId": f"e{index}",
            "timestamp": datetime.fromtimestamp(START_S + index * 0.02, UTC).isoformat(),
            "userId": user,
            "context": {"locale": "en-GB"},
            "properties": properties,
        }
        producer.produce(settings.topic(topic), key=user, value=json.dumps(event))
        if index % 1000 == 0:
            producer.poll(0)
    assert producer.flush(60) == 0
