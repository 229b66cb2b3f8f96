"""What is taken from the records of the outside: feedback and orders, and what of them cannot count."""

from __future__ import annotations

from math import isfinite

from schemas import codec
from schemas.events import ORDER_COMPLETED, Track
from schemas.messages import Feedback
from workers.core.learning.attribution import CLOCK_TOLERANCE_S
from workers.core.learning.facts import MONEY_UNIT, Fact, Order
from workers.errors import InvalidEvent

#: What feedback is learnt from; `queued`, `dropped` and `skipped` say nothing that is counted.
STATUSES = frozenset(
    {"sent", "delivered", "opened", "clicked", "converted", "replied"}
    | {"unsubscribed", "bounced", "complained", "failed", "rated"}
)
#: An order of more than this is a mistake, in whatever currency.
MAX_REVENUE = 1e9
_END_OF_TIME_S = 4_102_444_800.0  # 2100-01-01
_MARK = ORDER_COMPLETED.encode()
#: How any letter of the event's name could be written otherwise in JSON.
_ESCAPE = b"\\u00"


def fact(feedback: Feedback, now_s: float | None) -> Fact:
    """One feedback of a status that is learnt from, refused where nothing else need be known to see it.

    `now_s` None: the clock is that of the events, and nothing is in the future. Raises InvalidEvent for a time before 1970
    or after 2100.
    """
    at_s = time_of(feedback.timestamp.timestamp())
    status = "machine_opened" if feedback.status == "opened" and feedback.machine_opened else feedback.status
    refused, amount, currency = "", None, ""
    if feedback.status == "converted":
        amount, currency, problem = money(feedback.revenue, feedback.currency)
        refused = problem
    if feedback.status == "rated" and feedback.rating is None:
        refused = "no_rating"
    if now_s is not None and at_s > now_s + CLOCK_TOLERANCE_S:
        refused = "future"
    return Fact(
        status=status,
        at=at_s,
        refused=refused,
        rating=feedback.rating or 0,
        order_key=f"o{feedback.order_id}" if feedback.order_id else f"f{feedback.event_id}",
        amount=amount,
        currency=currency,
    )


def may_be_order(value: bytes) -> bool:
    """Whether an event is worth decoding: cheap, and never wrongly False.

    >>> may_be_order(b'{"event":"Order Completed"}'), may_be_order(b'{"event":"Product Viewed"}')
    (True, False)
    """
    return _MARK in value or _ESCAPE in value


def order(key: bytes | None, value: bytes, now_s: float | None) -> tuple[str, str, Order, str] | None:
    """(user_id, order key, order, what is wrong with its amount or "") of an event; None = it is no order of somebody known.

    Raises InvalidEvent with the reason why it cannot be used; `personalise` makes the dead letter of such an event.
    """
    try:
        event = codec.decode_event(value)
    except codec.Malformed as error:
        raise InvalidEvent(error.reason, error.detail) from error
    if not isinstance(event, Track) or event.event != ORDER_COMPLETED or not event.user_id:
        return None
    if key != event.user_id.encode():
        raise InvalidEvent("key_mismatch", "the record's key is not the customer of its value")
    at_s, properties = time_of(event.timestamp.timestamp()), event.properties
    if now_s is not None and at_s > now_s + CLOCK_TOLERANCE_S:
        raise InvalidEvent("future", "the order lies in the future")
    revenue = properties.revenue if properties.revenue is not None else properties.total
    amount, currency, problem = money(revenue, properties.currency)
    order_key = f"o{properties.order_id}" if properties.order_id else f"e{event.message_id}"
    return event.user_id, order_key, Order(at_s, amount, currency), problem


def money(revenue: float | None, currency: str | None) -> tuple[int | None, str, str]:
    """(amount in MONEY_UNITths, currency, what is wrong or ""). No revenue at all is not wrong, only unknown.

    >>> money(19.9, "eur"), money(5.0, None), money(-1.0, "EUR"), money(None, None)
    ((199000, 'EUR', ''), (None, '', 'revenue_without_currency'), (None, '', 'bad_revenue'), (None, '', ''))
    """
    if revenue is None:
        return None, "", ""
    if not (isfinite(revenue) and 0 <= revenue <= MAX_REVENUE):
        return None, "", "bad_revenue"
    code = (currency or "").upper()
    if not (len(code) == 3 and code.isascii() and code.isalpha()):
        return None, "", "revenue_without_currency"
    return round(revenue * MONEY_UNIT), code, ""


def time_of(at_s: float) -> float:
    """The same time. Raises InvalidEvent if it is before 1970 or after 2100."""
    if not 0 <= at_s < _END_OF_TIME_S:
        raise InvalidEvent("bad_timestamp", "before 1970 or after 2100")
    return at_s
