"""Computes what each exposure of a customer adds to the sums: a pure function of the facts, whatever their order of arrival.

- An exposure is a decision to request a message (`requested`), to withhold it (`holdout`) or to send nothing
  (`no_action_chosen`). Everything within its attribution window, which starts at the decision, may count for it.
- Intention to treat: `<kind>_converted` if the customer ordered within the window, with or without a message.
- An order counts net of its refunds, and not at all once it is cancelled.
- Last touch: an order is a conversion of the newest published message decided before it, if it lies within its window.
- Reward: an order is one reward, for the newest trial decided before it. A trial is an exposure that became what the
  policy chose: not a holdout, and not a message that went unpublished for any reason but the customer's own order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from workers.core.attribution import reward_delays
from workers.core.attribution.metrics import FLAGS
from workers.core.attribution.model import (
    HOLDOUT,
    NO_ACTION,
    PUBLISHED,
    REQUESTED,
    Contribution,
    Customer,
    Exposure,
    Fact,
    Order,
)
from workers.core.attribution.rewards import BITS, EARNING

#: Tolerated clock error of a sender or shop [s].
CLOCK_TOLERANCE_S = 300.0
#: An open may precede the reported delivery of its message by this much [s].
DELIVERY_TOLERANCE_S = 5.0
_FLAG = {name: 1 << place for place, name in enumerate(FLAGS)}
_KIND = {REQUESTED: "requested", HOLDOUT: "holdout", NO_ACTION: "no_action"}
#: Outcomes with which a request is a trial ("" = none yet). Any other (pause, consent, age, a guardrail ...) says nothing
#: about the arm. `converted`: the customer ordered first.
_TRIAL_OUTCOMES = frozenset({"", PUBLISHED, "converted"})


def contributions(customer: Customer) -> dict[str, Contribution]:
    """Returns decision_id → contribution for every exposure that is not sealed."""
    exposures = sorted(customer.exposures.values(), key=lambda exposure: (exposure.decided_at, exposure.decision_id))
    valid = (record.order for record in customer.orders.values())
    orders = sorted((order for order in valid if order is not None), key=lambda order: order.at)
    earned = _last_touch([exposure for exposure in exposures if is_trial(exposure)], orders)
    converted = _last_touch([exposure for exposure in exposures if exposure.outcome == PUBLISHED], orders)
    return {
        exposure.decision_id: _contribution(
            exposure,
            [order for order in orders if is_within(exposure, order.at)],
            converted.get(exposure.decision_id, []),
            earned.get(exposure.decision_id, []),
        )
        for exposure in exposures
    }


def is_trial(exposure: Exposure) -> bool:
    """Returns whether this exposure counts as a trial of its arm."""
    return exposure.kind != HOLDOUT and exposure.outcome in _TRIAL_OUTCOMES


def is_within(exposure: Exposure, at_s: float) -> bool:
    """Returns whether a moment lies in the exposure's attribution window, both ends included."""
    return exposure.decided_at <= at_s <= exposure.decided_at + exposure.window_s


def refusal(exposure: Exposure, fact: Fact) -> str:
    """Returns why feedback about this message counts nowhere, whatever else is known; "" = it may count."""
    if fact.refused:
        return fact.refused
    if fact.at < exposure.decided_at - CLOCK_TOLERANCE_S:
        return "before_message"
    return "expired" if fact.at > exposure.sealed_at else ""


def _last_touch(exposures: Sequence[Exposure], orders: Iterable[Order]) -> dict[str, list[Order]]:
    """Returns decision_id → its orders. `exposures` and `orders` must be in time order."""
    found: dict[str, list[Order]] = {}
    position = 0
    for order in orders:
        while position < len(exposures) and exposures[position].decided_at <= order.at:
            position += 1
        if position and is_within(exposures[position - 1], order.at):
            found.setdefault(exposures[position - 1].decision_id, []).append(order)
    return found


def _contribution(exposure: Exposure, own: list[Order], converted: list[Order], earned: list[Order]) -> Contribution:
    happened, ignored, rating = _observed(exposure)
    kind, published = _KIND[exposure.kind], exposure.outcome == PUBLISHED
    flags = _FLAG["decisions"] | _FLAG[kind]
    flags |= _FLAG[f"{kind}_converted"] if own else 0
    flags |= _FLAG["rated"] if rating else 0
    if published:
        flags |= _FLAG["published"] | (_FLAG["converted"] if converted else 0)
        flags |= sum(_FLAG[status] for status in happened if status in _FLAG)
    trial = _trial(exposure, happened, earned) if is_trial(exposure) else {}
    return Contribution(
        flags=flags,
        rating=rating,
        revenue=_revenue(converted),
        own_revenue=_revenue(own) if exposure.kind != NO_ACTION else {},
        ignored=ignored,
        **trial,
    )


def _observed(exposure: Exposure) -> tuple[dict[str, float], dict[str, int], int]:
    """Returns (status → when it first happened, reason → number of facts ignored, the newest rating or 0)."""
    first: dict[str, float] = {}
    refused = refusals(exposure)
    newest_rating = (0.0, 0, 0)
    for digest, fact in exposure.facts.items():
        if digest in refused or fact.status == "converted":
            continue  # a purchase counts as an order
        if fact.status == "rated":
            newest_rating = max(newest_rating, (fact.at, digest, fact.rating))
        elif exposure.outcome == PUBLISHED:
            first[fact.status] = min(first.get(fact.status, fact.at), fact.at)
    return first, dict(sorted(Counter(refused.values()).items())), newest_rating[2]


def refusals(exposure: Exposure) -> dict[int, str]:
    """Returns hash → reason of the feedback about a message that counts nowhere."""
    refused = {digest: reason for digest, fact in exposure.facts.items() if (reason := refusal(exposure, fact))}
    valid = [(digest, fact) for digest, fact in exposure.facts.items() if digest not in refused]
    delivered_at = min((fact.at for _, fact in valid if fact.status == "delivered"), default=0.0)
    for digest, fact in valid:
        if fact.status in ("opened", "clicked") and fact.at < delivered_at - DELIVERY_TOLERANCE_S:
            refused[digest] = "before_delivery"
        elif fact.status not in ("rated", "converted") and exposure.outcome not in ("", PUBLISHED):
            refused[digest] = "not_published"
    return refused


def _trial(exposure: Exposure, happened: dict[str, float], earned: list[Order]) -> dict[str, int]:
    ends_at = exposure.decided_at + exposure.window_s  # no lower bound: a sender's clock may be behind ours
    times = {status: at_s for status, at_s in happened.items() if status in BITS and at_s <= ends_at}
    if earned:
        times["converted"] = earned[0].at
    bits = sum(BITS[status] for status in EARNING if status in times)
    if not bits & exposure.earning:
        return {"happened": bits, "open_ms": reward_delays.slot_ms(exposure.decided_at, exposure.window_s)}
    first = min(at_s for status, at_s in times.items() if BITS[status] & exposure.earning)
    return {"happened": bits, "delay": reward_delays.bucket(first - exposure.decided_at)}


def _revenue(orders: Iterable[Order]) -> dict[str, int]:
    total: dict[str, int] = {}
    for order in orders:
        if order.amount is not None:
            total[order.currency] = total.get(order.currency, 0) + order.amount
    return dict(sorted(total.items()))
