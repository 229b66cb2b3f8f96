"""Reads the approved texts of copy.pool."""

from __future__ import annotations

from workers.adapters.kafka.reader import TopicReader
from workers.core.generation.pool.entries import POOL, TextPool
from workers.settings import Settings


def read_pool(settings: Settings) -> TextPool:
    """Returns the whole pool. Raises Unavailable without a broker, Misconfigured without the topic."""
    pool = TextPool()
    with TopicReader(settings, [POOL]) as reader:
        for record in reader.read_to_end():
            pool.take(record)
    return pool
