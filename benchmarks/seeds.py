"""Writes changelogs directly, to create a million customers without a million events."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks import broker, load
from benchmarks.memory_store import MemoryStore
from benchmarks.work_unit import START_S, encode_profile, make_events, oracle
from schemas.topics import COMPACTION
from workers.adapters.kafka.partitioner import partition_of
from workers.adapters.playbook.loader import load_for as load_playbook
from workers.core.partition import keys
from workers.core.personalisation.processor import EVENTS, PersonalisationConfig, PersonalisationProcessor
from workers.core.profile import model as profiles
from workers.core.stream.records import Record
from workers.settings import Settings

#: Number of different profiles: enough that neighbours in a block of RocksDB do not compress each other.
_WORK_UNIT_KINDS, _REAL_KINDS = 2000, 200
_HISTORY = 20


def work_unit_changelog(settings: Settings, topic: str, customers: int) -> None:
    """Writes work-unit profiles with 20 events each, all before the first event of `work_unit.make_events`."""
    events = make_events(_WORK_UNIT_KINDS * _HISTORY, _WORK_UNIT_KINDS, seed=1, start_s=START_S - 86_400.0)
    kinds = [encode_profile(profile) for profile in oracle(events).values()]
    _create(settings, topic)
    records = ((f"c{number}".encode(), kinds[number % len(kinds)]) for number in range(customers))
    broker.fill(settings.brokers, topic, records)


def real_changelog(settings: Settings, topic: str, customers: int) -> None:
    """Writes real profiles, each with the history of a customer with about 20 events."""
    kinds = _real_profiles(settings)

    def records() -> Iterator[tuple[bytes, bytes]]:
        for number in range(customers):
            profile = kinds[number % len(kinds)]
            profile.customer_id = f"c{number}"
            yield keys.profile_key(profile.customer_id), profiles.encode(profile)

    start = len(keys.profile_key(""))
    _create(settings, topic)
    broker.fill(settings.brokers, topic, records(), lambda key: partition_of(key[start:], settings.partitions))


def _create(settings: Settings, topic: str) -> None:
    broker.create(settings.brokers, [topic], settings.partitions, {"cleanup.policy": "compact", **COMPACTION})


def _real_profiles(settings: Settings) -> list[profiles.Profile]:
    now_s, store = time.time(), MemoryStore()
    config = PersonalisationConfig(clock="wall", partition_of=lambda _key: 0, salt="bench")
    core = PersonalisationProcessor(config, load_playbook(settings), store)
    events = load.make_events(_REAL_KINDS * _HISTORY, _REAL_KINDS, seed=0)
    records = [
        Record(topic=EVENTS, partition=0, offset=offset, key=key, value=value, appended_at_s=now_s)
        for offset, (key, value) in enumerate(events)
    ]
    store.commit(core.apply(records, now_s, caught_up=False))
    return [profiles.decode(store.values[keys.profile_key(f"c{number}")]) for number in range(_REAL_KINDS)]
