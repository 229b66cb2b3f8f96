"""Maps a key to its partition by murmur2, like Java's default partitioner and librdkafka's `murmur2_random`."""

from __future__ import annotations

from aiokafka.partitioner import murmur2


def partition_of(key: bytes, partitions: int) -> int:
    """Returns the partition of a non-null key among `partitions`."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)
