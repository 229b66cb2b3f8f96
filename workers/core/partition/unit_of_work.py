"""Holds the profiles loaded and changed during a lane's batch, and collects the batch's effects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec

from schemas import codec
from workers.core.partition import keys
from workers.core.partition.timers import DEADLINE, Timers, kind_of
from workers.core.profile import dedupe, eviction
from workers.core.profile import model as profiles
from workers.core.profile.model import ColdProfile, ConsentChange, Profile
from workers.core.stream.effects import Effects
from workers.core.stream.metrics import CounterName, HistogramName
from workers.core.stream.records import Output, StateStore


class UnitOfWork:
    """Caches profiles between batches; `begin` starts a batch and `finish` turns its changes into effects."""

    def __init__(self, store: StateStore, cache_size: int) -> None:
        self._store = store
        self._cache_size = cache_size
        self._cache: dict[str, Profile] = {}
        self._forgotten_before = 0
        self.timers_at_start: Counter[str] = Counter()
        self._awaiting: dict[str, None] = {}
        self._scan_timers()
        self.begin()

    def begin(self) -> None:
        """Starts a batch with no changes."""
        self.effects = Effects()
        self.timers = Timers(self._store)
        self.changed: dict[str, Profile] = {}
        self._cold: dict[str, ColdProfile] = {}
        self._pages: dict[tuple[int, str], list[int]] = {}
        self._changed_pages: set[tuple[int, str]] = set()
        self._stored: dict[bytes, bytes] = {}

    def load(self, customer_id: str) -> Profile | None:
        """Returns the customer's profile including this batch's changes so far; None = unknown customer."""
        profile = self._cache.get(customer_id)
        if profile is None:
            stored = self._store.get(keys.profile_key(customer_id))
            if stored is None:
                return None
            profile = self._cache[customer_id] = profiles.decode(stored)
        return profile

    def create(self, customer_id: str) -> Profile:
        """Creates a new customer's profile."""
        profile = self._cache[customer_id] = Profile(customer_id=customer_id)
        return profile

    def touch(self, profile: Profile) -> None:
        """Marks a profile as changed: it is written when the batch is finished."""
        self.changed[profile.customer_id] = profile

    def put(self, topic: str, profile: Profile, value: msgspec.Struct) -> None:
        """Outputs a record about this customer."""
        self.effects.outputs.append(Output(topic, profile.customer_id.encode(), codec.encode(value)))

    def count(self, metric: CounterName, *labels: str) -> None:
        """Increments a counter of the metric catalogue."""
        self.effects.tally[(metric, *labels)] += 1

    def observe(self, metric: HistogramName, seconds: float, *labels: str) -> None:
        """Records a duration for a metric of the catalogue."""
        self.effects.timings.append((metric, seconds, labels))

    def stored(self, key: bytes) -> bytes | None:
        """Returns a record that belongs to the lane rather than a customer, including this batch's changes so far."""
        return self._stored.get(key) or self._store.get(key)

    def store(self, key: bytes, value: bytes) -> None:
        """Writes a record of the lane itself."""
        self._stored[key] = value

    def event_ids(self, hour: int, customer_id: str) -> list[int]:
        """Returns the spilled event IDs of one hour of a customer (core.profile.dedupe)."""
        page = self._pages.get((hour, customer_id))
        if page is None:
            stored = self._store.get(keys.page_key(hour, customer_id))
            page = self._pages[hour, customer_id] = dedupe.decode_page(stored) if stored else []
        return page

    def remember_consent(self, profile: Profile, changes: list[ConsentChange]) -> None:
        """Appends to the consent history, which is in the cold record."""
        cold = self._cold.get(profile.customer_id)
        if cold is None:
            stored = self._store.get(keys.cold_key(profile.customer_id))
            cold = self._cold[profile.customer_id] = profiles.decode_cold(stored) if stored else ColdProfile()
        cold.consent_history = [*cold.consent_history, *changes][-profiles.MAX_CONSENT_HISTORY :]

    @property
    def awaiting_at_start(self) -> list[str]:
        """The customers who had a request with a deadline when the lane started, each once."""
        return list(self._awaiting)

    def _scan_timers(self) -> None:
        """Counts the committed timers of each kind and collects the customers with a deadline, in one scan."""
        for key in self._store.scan(keys.TIMER):
            _, customer_id, timer_id = keys.parse_timer(key)
            kind = kind_of(timer_id)
            self.timers_at_start[kind] += 1
            if kind == DEADLINE:
                self._awaiting[customer_id] = None

    def finish(self, clock_s: float) -> Effects:
        """Encodes the changes and returns the batch's effects."""
        puts = self.effects.puts
        for customer_id, profile in self.changed.items():
            for hour, digests in dedupe.forget_and_spill(profile, clock_s).items():
                self.event_ids(hour, customer_id).extend(digests)
                self._changed_pages.add((hour, customer_id))
            puts.append((keys.profile_key(customer_id), eviction.encode_bounded(profile)))
        puts.extend((keys.cold_key(customer_id), profiles.encode(cold)) for customer_id, cold in self._cold.items())
        for hour, customer_id in self._changed_pages:
            page = self._pages[hour, customer_id][-dedupe.PAGE_IDS :]
            puts.append((keys.page_key(hour, customer_id), dedupe.encode_page(page)))
        puts.extend((key, None) for key in self._forgotten_pages(clock_s))
        puts.extend(self._stored.items())
        self.effects.index_puts = list(self.timers.puts)
        self.effects.index_deletes = list(self.timers.deletes)
        self.effects.clock_s = clock_s
        self._trim_cache()
        return self.effects

    def _forgotten_pages(self, clock_s: float) -> Iterator[bytes]:
        """Yields the keys of pages for hours that dedupe no longer keeps; scans once per hour of the clock."""
        oldest_kept = dedupe.hour_of(clock_s) - dedupe.KEEP_HOURS
        if oldest_kept <= self._forgotten_before:
            return
        self._forgotten_before = oldest_kept
        for key in self._store.scan(keys.PAGE):
            if keys.page_hour(key) >= oldest_kept:
                break
            yield key

    def _trim_cache(self) -> None:
        """Evicts the profiles that were loaded first; they remain in the store."""
        surplus = len(self._cache) - self._cache_size
        for customer_id in list(self._cache)[:surplus] if surplus > 0 else ():
            del self._cache[customer_id]
