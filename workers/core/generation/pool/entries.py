"""Keeps the pool of texts written in advance, and finds those that are approved for a request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b

import msgspec

from schemas import codec
from schemas.learning import PoolEntry
from schemas.messages import MessageRequest
from workers.core.generation.pool.slots import InvalidSlot, slots_of
from workers.core.stream.records import Record

POOL = "copy.pool"


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """The purpose of a text. `prompt` and `tone` ("" = none) are the variation, which an arm of the campaign selects."""

    campaign_id: str
    prompt: str
    tone: str
    channel: str
    language: str
    target_group: str
    product_id: str


def key_of(entry: PoolEntry) -> Key:
    """Returns the key for which an entry was written."""
    return Key(
        campaign_id=entry.campaign_id,
        prompt=entry.prompt,
        tone=entry.tone,
        channel=entry.channel,
        language=entry.language,
        target_group=entry.target_group,
        product_id=entry.product_id,
    )


def key_for(request: MessageRequest) -> Key:
    """Returns the key of the text that a request needs."""
    return Key(
        campaign_id=request.campaign_id,
        prompt=request.prompt,
        tone=request.tone or "",
        channel=request.channel,
        language=request.language,
        target_group=request.target_group,
        product_id=request.product.product_id,
    )


class ApprovedTexts(msgspec.Struct, frozen=True):
    """A snapshot of the approved entries by key, in the order of their ids; never changed afterwards."""

    entries: Mapping[Key, tuple[PoolEntry, ...]] = {}

    def order(self, key: Key, message_id: str) -> Iterator[PoolEntry]:
        """Yields the approved entries of a key, each once, in an order that depends on the message's id alone.

        Each comes first for an even share of all messages; what the first cannot serve is shared evenly by the others.
        """
        remaining = list(self.entries.get(key, ()))
        draw = int.from_bytes(blake2b(message_id.encode(), digest_size=16).digest(), "big")
        while remaining:
            draw, place = divmod(draw, len(remaining))
            yield remaining.pop(place)


class TextPool:
    """Builds the approved texts from records of copy.pool, in the order of their topic.

    The newest record of an entry wins; applying the same records again, or only the newest of each key (compaction), leads
    to the same texts. An entry with an unknown slot is kept, but never approved. `ignored` counts records that could not be
    used.
    """

    def __init__(self) -> None:
        self.ignored = 0
        self._entries: dict[str, PoolEntry] = {}
        self._approved: dict[Key, dict[str, PoolEntry]] = {}
        self._current = ApprovedTexts()
        self._changed: set[Key] = set()

    def take(self, record: Record) -> bool:
        """Applies one record; False if it is of another topic or invalid for its topic: then nothing is approved."""
        taken = record.topic == POOL and self._take(record)
        self.ignored += not taken
        return taken

    @property
    def entries(self) -> Mapping[str, PoolEntry]:
        """Id → its newest entry, whatever its status."""
        return self._entries

    @property
    def current(self) -> ApprovedTexts:
        """The texts approved after all records so far; the same object as long as nothing has changed."""
        if self._changed:
            entries = dict(self._current.entries)
            for key in self._changed:
                entries.pop(key, None)
                if approved := self._approved.get(key):
                    entries[key] = tuple(entry for _, entry in sorted(approved.items()))
            self._changed = set()
            self._current = ApprovedTexts(entries)
        return self._current

    def _take(self, record: Record) -> bool:
        entry_id = (record.key or b"").decode(errors="replace")
        if record.value is None:
            self._replace(self._entries.pop(entry_id, None), None)
            return True
        try:
            entry = codec.decode(PoolEntry, record.value)
        except codec.Malformed:
            return False
        if entry.entry_id != entry_id:
            return False
        known = self._entries.get(entry_id)
        if known is None or known.updated_at <= entry.updated_at:
            self._entries[entry_id] = entry
            self._replace(known, entry)
        return _has_valid_slots(entry)

    def _replace(self, old: PoolEntry | None, new: PoolEntry | None) -> None:
        """Replaces the old version of an entry with the new one among the approved texts."""
        if old is not None and self._approved.get(key := key_of(old), {}).pop(old.entry_id, None) is not None:
            self._changed.add(key)
        if new is not None and new.status == "approved" and _has_valid_slots(new):
            self._approved.setdefault(key := key_of(new), {})[new.entry_id] = new
            self._changed.add(key)


def _has_valid_slots(entry: PoolEntry) -> bool:
    try:
        slots_of(entry.text)
    except InvalidSlot:
        return False
    return True
