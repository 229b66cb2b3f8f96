"""The facts about one customer until they are sealed (final), as stored in RocksDB and the changelog.

Adding a fact is a merge (commutative, associative, idempotent): the result does not depend on the order, repetition or
batching of records. Times are seconds since the epoch, UTC. Amounts are integers, in units of 1/MONEY_UNIT of a currency,
because integer sums do not depend on the order. Encoded as msgpack; fields are only appended, with defaults.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

#: Amounts are kept in ten-thousandths of a currency unit.
MONEY_UNIT = 10_000
#: Facts of one kind that an exposure keeps: this many of the earliest and of the latest.
_EARLIEST, _LATEST = 24, 8
#: Limits per customer. Beyond these the oldest are sealed at once (exposures) or forgotten.
MAX_EXPOSURES, MAX_ORDERS, MAX_SETTLED, MAX_WAITING, MAX_COMPARED = 64, 64, 512, 256, 64
#: Refunds kept per order, the earliest ones.
MAX_REFUNDS = 16
#: The kinds of exposure; each is the reason of a decision.
REQUESTED, HOLDOUT, NO_ACTION = "requested", "holdout", "no_action_chosen"
EXPOSURES = frozenset({REQUESTED, HOLDOUT, NO_ACTION})
PUBLISHED = "published"


class Fact(msgspec.Struct, frozen=True, array_like=True):
    """One item of feedback. `refused`: the reason why it counts for no message ("" = it may count).

    `order_key` and `amount` (None = unknown) apply to `converted`, `rating` to `rated`.
    """

    status: str
    at: float
    refused: str = ""
    rating: int = 0
    order_key: str = ""
    amount: int | None = None
    currency: str = ""


class Order(msgspec.Struct, frozen=True, array_like=True):
    """An order as one source reported it. `amount` None = unknown."""

    at: float
    amount: int | None = None
    currency: str = ""


class Refund(msgspec.Struct, frozen=True, array_like=True):
    """Money returned for an order. `amount` None = all of it; `cancelled`: as if the order had never been made.

    `currency` "" = that of the order.
    """

    at: float
    amount: int | None = None
    currency: str = ""
    cancelled: bool = False


class OrderRecord(msgspec.Struct, array_like=True):
    """An order as the event reported it and as feedback claimed it; the event takes precedence where it has a value.

    `refunds`: hash of an event's id → its refund.
    """

    event: Order | None = None
    claim: Order | None = None
    refunds: dict[int, Refund] = {}

    @property
    def known(self) -> bool:
        """False if there are refunds, but the order itself has not been reported yet."""
        return self.event is not None or self.claim is not None

    @property
    def at(self) -> float:
        """The time when the order was made or, while that is unknown, of its first refund [s]."""
        record = self.event or self.claim
        return record.at if record is not None else min((refund.at for refund in self.refunds.values()), default=0.0)

    @property
    def order(self) -> Order | None:
        """The order merged from all reports, less what was refunded; None = it was not reported, or was cancelled."""
        event, claim = self.event or self.claim, self.claim or self.event
        if event is None or claim is None or any(refund.cancelled for refund in self.refunds.values()):
            return None
        amount, currency = (
            (event.amount, event.currency) if event.amount is not None else (claim.amount, claim.currency)
        )
        for refund in self.refunds.values():
            if amount is not None and refund.currency in ("", currency):
                amount = 0 if refund.amount is None else max(0, amount - refund.amount)
        return Order(event.at, amount, currency)


class Contribution(msgspec.Struct, frozen=True, array_like=True):
    """The share of one exposure in the lane's sums; stored with the facts, so that it can always be subtracted.

    `flags`: bits in the order of metrics.FLAGS. `happened`: bits in the order of rewards.EARNING, -1 = not a trial. `open_ms`:
    slot of an exposure that has earned nothing; `delay`: bucket of its first reward; -1 = none.
    """

    flags: int = 0
    rating: int = 0
    revenue: dict[str, int] = {}
    own_revenue: dict[str, int] = {}
    ignored: dict[str, int] = {}
    happened: int = -1
    open_ms: int = -1
    delay: int = -1


class Exposure(msgspec.Struct, array_like=True):
    """A decision whose effect is measured.

    The terms (`window_s`, `grace_s`, the bits `earning`) are those of the playbook at the time the decision was first read: a
    new playbook changes no running trial. `comparable`: the draw decided whether this customer is in the control group (False
    if that group holds no one or everyone).
    """

    decision_id: str
    message_id: str
    kind: str
    campaign: str
    channel: str
    arm: str
    context: str
    decided_at: float
    start_ms: int
    end_ms: int
    window_s: float
    grace_s: float
    earning: int
    outcome: str = ""
    facts: dict[int, Fact] = {}
    counted: Contribution = Contribution()
    comparable: bool = True

    @property
    def sealed_at(self) -> float:
        """The time when it is sealed, that is, when its counts become final [s]."""
        return self.decided_at + self.window_s + self.grace_s


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """Feedback whose message is not known yet; waits for its decision until `until` [s]."""

    message_id: str
    fact: Fact
    until: float


class Ended(msgspec.Struct, frozen=True, array_like=True):
    """An outcome whose decision is not known yet."""

    reason: str
    until: float


class Compared(msgspec.Struct, frozen=True, array_like=True):
    """The period in which a customer was counted for a campaign's uplift; no record of it can arrive after `until` [s]."""

    period: int
    until: float


class Customer(msgspec.Struct, array_like=True):
    """Everything known about one customer.

    `settled`: hash of a decision or of feedback that is final → when it may be forgotten [s]. `compared`:
    campaign → the newest period in which the customer was counted for its uplift. `due_at`: when time alone changes this
    record [s], 0 = never; the timer index is derived from it.
    """

    customer_id: str
    exposures: dict[str, Exposure] = {}
    orders: dict[str, OrderRecord] = {}
    waiting: dict[int, Waiting] = {}
    ended: dict[str, Ended] = {}
    settled: dict[int, float] = {}
    due_at: float = 0.0
    compared: dict[str, Compared] = {}

    @property
    def empty(self) -> bool:
        """True if there is nothing left to keep."""
        facts = self.exposures or self.orders or self.waiting or self.ended
        return not (facts or self.settled or self.compared)

    def of_message(self, message_id: str) -> Exposure | None:
        """Returns the exposure that requested this message, or None."""
        return next((exposure for exposure in self.exposures.values() if exposure.message_id == message_id), None)


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Customer).decode


def add_fact(facts: dict[int, Fact], digest: int, fact: Fact) -> bool:
    """Adds feedback under the hash of its event_id; returns False if it was already known.

    Of two with the same id the same one always wins. Of more than 32 of one kind, the earliest 24 and the latest 8 are kept.
    """
    known = facts.get(digest)
    if known is not None:
        facts[digest] = min(known, fact, key=_order_of_fact)
        return False
    facts[digest] = fact
    if len(facts) > _EARLIEST + _LATEST:
        same = [key for key, other in facts.items() if (other.status, other.refused) == (fact.status, fact.refused)]
        if len(same) > _EARLIEST + _LATEST:
            same.sort(key=lambda key: (facts[key].at, key))
            del facts[same[_EARLIEST]]
    return True


def add_order(
    orders: dict[str, OrderRecord], key: str, *, event: Order | None = None, claim: Order | None = None
) -> bool:
    """Adds an event's or feedback's report of an order; returns False if nothing changes. The earliest of each counts."""
    record = orders.setdefault(key, OrderRecord())
    before = (record.event, record.claim)
    record.event, record.claim = _earlier(record.event, event), _earlier(record.claim, claim)
    _keep_newest(orders)
    return (record.event, record.claim) != before


def add_refund(orders: dict[str, OrderRecord], key: str, digest: int, refund: Refund) -> OrderRecord:
    """Adds a refund of an order under the hash of the event's id. Returns the order's updated record.

    Of two with the same id the same one always wins.
    """
    record = orders.setdefault(key, OrderRecord())
    known = record.refunds.get(digest)
    record.refunds[digest] = refund if known is None else min(known, refund, key=_order_of_refund)
    while len(record.refunds) > MAX_REFUNDS:
        del record.refunds[max(record.refunds, key=lambda other: (_order_of_refund(record.refunds[other]), other))]
    _keep_newest(orders)
    return record


def compare(customer: Customer, exposure: Exposure, period: int, until_s: float) -> bool:
    """Counts the customer for the campaign's uplift in this period; False = already counted, or not comparable."""
    known = customer.compared.get(exposure.campaign)
    if exposure.kind == NO_ACTION or not exposure.comparable or (known is not None and known.period >= period):
        return False
    customer.compared[exposure.campaign] = Compared(period, until_s)
    while len(customer.compared) > MAX_COMPARED:
        del customer.compared[min(customer.compared, key=lambda name: (customer.compared[name].until, name))]
    return True


T = TypeVar("T")


def forget_first(times: dict[T, float], limit: int) -> None:
    """Drops the entries due first until `limit` are left."""
    while len(times) > limit:
        del times[min(times, key=times.__getitem__)]


def _earlier(one: Order | None, other: Order | None) -> Order | None:
    if one is None or other is None:
        return one or other
    return min(one, other, key=lambda order: (order.at, -1 if order.amount is None else order.amount, order.currency))


def _keep_newest(orders: dict[str, OrderRecord]) -> None:
    while len(orders) > MAX_ORDERS:
        del orders[min(orders, key=lambda known: (orders[known].at, known))]


def _order_of_refund(refund: Refund) -> tuple[bool, float, int, str]:
    """Returns a sort key that puts cancellations first: they take precedence over every refund."""
    return not refund.cancelled, refund.at, -1 if refund.amount is None else refund.amount, refund.currency


def _order_of_fact(fact: Fact) -> tuple[str, float, str, int, str, int, str]:
    amount = -1 if fact.amount is None else fact.amount
    return fact.refused, fact.at, fact.status, fact.rating, fact.order_key, amount, fact.currency
