"""Validates external feedback and orders, and gives the reason why one cannot count."""

from __future__ import annotations

from math import isfinite

from schemas import codec
from schemas.events import ORDER_CANCELLED, ORDER_COMPLETED, ORDER_REFUNDED, Track
from schemas.messages import Feedback
from workers.core.attribution.attribution import CLOCK_TOLERANCE_S
from workers.core.attribution.model import MONEY_UNIT, Fact, Order, Refund
from workers.core.errors import InvalidEvent
from workers.core.profile.carts import products_of

#: The statuses to learn from; `queued`, `dropped` and `skipped` contain nothing that is counted.
STATUSES = frozenset(
    {"sent", "delivered", "opened", "clicked", "converted", "replied"}
    | {"unsubscribed", "bounced", "complained", "failed", "rated"}
)
#: An order above this amount is a mistake, in any currency.
MAX_REVENUE = 1e9
_ANY_CURRENCY = "XXX"  # the ISO 4217 code for no currency
_END_OF_TIME_S = 4_102_444_800.0  # 2100-01-01
_ABOUT_ORDERS = frozenset({ORDER_COMPLETED, ORDER_REFUNDED, ORDER_CANCELLED})
#: How all these names start in JSON, and the start of a JSON escape that may encode any of their letters.
_MARK = b'"Order '
_ESCAPE = b"\\u00"


def fact(feedback: Feedback, now_s: float | None) -> Fact:
    """Converts feedback with one of STATUSES into a fact, which is refused if the feedback alone shows that it cannot count.

    `now_s` None: the clock follows the events, and nothing is in the future. Raises InvalidEvent for a time before 1970
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
    """Returns whether an event may be about an order, without decoding it; never False for one that is.

    >>> may_be_order(b'{"event":"Order Completed"}'), may_be_order(b'{"event":"Product Viewed"}')
    (True, False)
    """
    return _MARK in value or _ESCAPE in value


def order_event(key: bytes | None, value: bytes, now_s: float | None) -> Track | None:
    """Returns the event if it completes, refunds or cancels an order of an identified customer; None for any other.

    Raises InvalidEvent with the reason why it cannot be used; `personalise` dead-letters such an event.
    """
    try:
        event = codec.decode_event(value)
    except codec.Malformed as error:
        raise InvalidEvent(error.reason, error.detail) from error
    if not isinstance(event, Track) or event.event not in _ABOUT_ORDERS or not event.user_id:
        return None
    if key != event.user_id.encode():
        raise InvalidEvent("key_mismatch", "the record's key is not the customer of its value")
    at_s = time_of(event.timestamp.timestamp())
    if now_s is not None and at_s > now_s + CLOCK_TOLERANCE_S:
        raise InvalidEvent("future", "the order is in the future")
    return event


def order(event: Track) -> tuple[str, Order, str]:
    """Returns (order key, order, the problem with its amount or "") of `Order Completed`."""
    at_s, properties = event.timestamp.timestamp(), event.properties
    revenue = properties.revenue if properties.revenue is not None else properties.total
    amount, currency, problem = money(revenue, properties.currency)
    order_key = f"o{properties.order_id}" if properties.order_id else f"e{event.message_id}"
    return order_key, Order(at_s, amount, currency), problem


def refund(event: Track) -> tuple[str, Refund]:
    """Returns (order key, refund) of `Order Refunded` or `Order Cancelled`.

    A cancellation refunds everything. A refund refunds its `revenue`, else its `total`, else the price of its products;
    one with neither amount nor products refunds the whole revenue. The sign of an amount is ignored: some shops report
    outgoing money as negative. Raises InvalidEvent if it names no order, or no amount that could be refunded.
    """
    at_s, properties = event.timestamp.timestamp(), event.properties
    if not properties.order_id:
        raise InvalidEvent("no_order_id", "a refund without the id of its order")
    order_key = f"o{properties.order_id}"
    if event.event == ORDER_CANCELLED:
        return order_key, Refund(at_s, cancelled=True)
    given = properties.revenue if properties.revenue is not None else properties.total
    products = products_of(properties)
    if given is None and not products:
        return order_key, Refund(at_s)
    if given is None:
        prices = [(product.price, product.quantity or 1) for product in products]
        given = sum(price * quantity for price, quantity in prices if price is not None)
        if any(price is None for price, _ in prices):
            raise InvalidEvent("bad_revenue", "a returned product has no price")
    # without a currency, that of the order applies; money() needs any currency to check the amount
    amount, currency, problem = money(abs(given), properties.currency or _ANY_CURRENCY)
    if amount is None:
        raise InvalidEvent(problem, "no amount that could be refunded")
    return order_key, Refund(at_s, amount, currency if properties.currency else "")


def money(revenue: float | None, currency: str | None) -> tuple[int | None, str, str]:
    """Returns (amount in units of 1/MONEY_UNIT, currency, the problem or ""). Missing revenue is not a problem, only unknown.

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
    """Returns the time unchanged. Raises InvalidEvent if it is before 1970 or after 2100."""
    if not 0 <= at_s < _END_OF_TIME_S:
        raise InvalidEvent("bad_timestamp", "before 1970 or after 2100")
    return at_s
