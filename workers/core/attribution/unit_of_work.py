"""Keeps one lane's working memory: customers and messages loaded and changed during a batch, and their timers."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import msgspec

from workers.core.attribution import counters, keys, model
from workers.core.attribution.model import Customer, Exposure
from workers.core.stream.records import StateStore


class MessageLocation(msgspec.Struct, frozen=True, array_like=True):
    """The customer of a message and the row in which it counts; kept until `forget_at` [s], long after it is sealed."""

    customer_id: str
    row_key: bytes
    forget_at: float


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(MessageLocation).decode


class UnitOfWork:
    """Loads customers and collects their changes; they stay cached between batches.

    `keep_s`: how long an order is kept if no exposure needs it longer [s].
    """

    def __init__(self, store: StateStore, keep_s: float, cache_size: int) -> None:
        self._store = store
        self._keep_s = keep_s
        self._cache_size = cache_size
        self._cache: dict[str, Customer] = {}
        self.begin()

    def begin(self) -> None:
        """Starts a batch with no changes."""
        self.changed: dict[str, Customer] = {}
        self._messages: dict[str, MessageLocation | None] = {}
        self._removed: list[bytes] = []

    def load(self, customer_id: str) -> Customer | None:
        """Returns the customer with the changes of this batch so far; None = unknown."""
        customer = self._cache.get(customer_id)
        if customer is None and (stored := self._store.get(keys.customer_key(customer_id))) is not None:
            customer = self._cache[customer_id] = model.decode(stored)
        return customer

    def of(self, customer_id: str) -> Customer:
        """Returns the customer, creating it if unknown, and marks it as changed."""
        customer = self.load(customer_id)
        if customer is None:
            customer = self._cache[customer_id] = Customer(customer_id)
        self.changed[customer_id] = customer
        return customer

    def message(self, message_id: str) -> MessageLocation | None:
        """Returns where a message belongs; None = its decision has not arrived, or the message was dropped."""
        if message_id in self._messages:
            return self._messages[message_id]
        stored = self._store.get(keys.message_key(message_id))
        return _decode(stored) if stored is not None else None

    def remember_message(self, customer_id: str, exposure: Exposure, forget_at: float) -> None:
        """Stores the customer and the row of a message. The first entry is kept."""
        if exposure.message_id and self.message(exposure.message_id) is None:
            row_key = counters.key_of(exposure)
            self._messages[exposure.message_id] = MessageLocation(customer_id, row_key, _to_ms(forget_at))

    # -- time --------------------------------------------------------------------------------------------------------

    def due(self, now_s: float, limit: int) -> list[str]:
        """Returns the customers with a timer due by now, earliest first; timers set in this batch are due in the next."""
        return list(self._due(keys.TIMER, now_s, limit))

    def forget_messages(self, now_s: float, limit: int) -> None:
        """Drops the messages whose retention has ended."""
        for message_id in list(self._due(keys.FORGET, now_s, limit)):
            found = self.message(message_id)
            if found is not None and found.forget_at <= now_s:
                self._messages[message_id] = None
                self._removed.append(keys.due_key(keys.FORGET, found.forget_at, message_id))

    def _due(self, kind: bytes, now_s: float, limit: int) -> Iterator[str]:
        for number, key in enumerate(self._store.scan(kind)):
            due_s, name = keys.parse_due(key)
            if due_s > now_s or number == limit:
                return
            yield name

    def _next_due(self, customer: Customer) -> float:
        """Returns when the next exposure is to be sealed or the next wait ends.

        Without either, returns when all orders and settled entries may be dropped or, without those, all compared periods, which
        are small enough to be kept for long.
        """
        urgent = [waiting.until for waiting in customer.waiting.values()]
        urgent += [ended.until for ended in customer.ended.values()]
        if customer.exposures:
            urgent.append(first_exposure(customer).sealed_at)
        if urgent:
            return _to_ms(min(urgent))
        kept = [record.at + self._keep_s for record in customer.orders.values()]
        remembered = [*kept, *customer.settled.values()] or [one.until for one in customer.compared.values()]
        return _to_ms(max(remembered, default=0.0))

    def prune(self, customer: Customer, now_s: float) -> int:
        """Drops orders that no exposure can need any more, and settled and compared entries that have expired.

        Returns the number of dropped refunds whose order was never reported.
        """
        unmatched = 0
        for key in [key for key, record in customer.orders.items() if record.at + self._keep_s <= now_s]:
            record = customer.orders[key]
            exposures = customer.exposures.values()
            if not any(one.decided_at <= record.at <= one.decided_at + one.window_s for one in exposures):
                unmatched += 0 if record.known else len(record.refunds)
                del customer.orders[key]
        for digest in [digest for digest, until_s in customer.settled.items() if until_s <= now_s]:
            del customer.settled[digest]
        for campaign in [campaign for campaign, one in customer.compared.items() if one.until <= now_s]:
            if not any(one.campaign == campaign for one in customer.exposures.values()):
                del customer.compared[campaign]
        return unmatched

    # -- results of a batch ------------------------------------------------------------------------------------------

    def finish(self) -> tuple[list[tuple[bytes, bytes | None]], list[bytes], list[bytes]]:
        """Returns (puts, index entries to add, index entries to delete)."""
        puts: list[tuple[bytes, bytes | None]] = []
        added, removed = [], self._removed
        for customer_id, customer in self.changed.items():
            before_s, customer.due_at = customer.due_at, self._next_due(customer)
            if before_s != customer.due_at:
                removed += [keys.due_key(keys.TIMER, before_s, customer_id)] if before_s else []
                added += [keys.due_key(keys.TIMER, customer.due_at, customer_id)] if customer.due_at else []
            empty = customer.empty
            puts.append((keys.customer_key(customer_id), None if empty else model.encode(customer)))
            if empty:
                self._cache.pop(customer_id, None)
        for message_id, found in self._messages.items():
            puts.append((keys.message_key(message_id), _encode(found) if found is not None else None))
            if found is not None:
                added.append(keys.due_key(keys.FORGET, found.forget_at, message_id))
        surplus = len(self._cache) - self._cache_size
        for customer_id in list(self._cache)[:surplus] if surplus > 0 else ():
            del self._cache[customer_id]
        return puts, added, removed


def first_exposure(customer: Customer) -> Exposure:
    """Returns the exposure that was decided first; exposures are sealed in this order, whatever their windows."""
    return min(customer.exposures.values(), key=lambda exposure: (exposure.decided_at, exposure.decision_id))


def index_keys(key: bytes, value: bytes) -> list[bytes]:
    """Returns the index entries derived from a state record; a restore writes them along with it."""
    kind, name = key[:1], key[1:]
    if kind == keys.CUSTOMER:
        due_at = model.decode(value).due_at
        return [keys.due_key(keys.TIMER, due_at, name.decode())] if due_at else []
    if kind == keys.MESSAGE:
        return [keys.due_key(keys.FORGET, _decode(value).forget_at, name.decode())]
    if kind == keys.ROW:
        return [keys.DIRTY + key] if counters.decode(value).dirty else []
    return []


def _to_ms(at_s: float) -> float:
    """Rounds up to the millisecond, the resolution of index keys."""
    return ceil(at_s * 1000) / 1000
