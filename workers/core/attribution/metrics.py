"""Builds the records of feedback.metrics: adds rates and uplift to counts, and sums records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import msgspec

from schemas.learning import Estimate, FeedbackMetrics
from workers.core.attribution.model import HOLDOUT, REQUESTED
from workers.core.experimentation.intervals import wilson
from workers.core.experimentation.uplift import Groups, uplift

#: The counts of FeedbackMetrics to which one decision adds 0 or 1. State stores their positions: only ever append.
FLAGS = (
    "decisions",
    "requested",
    "requested_converted",
    "holdout",
    "holdout_converted",
    "no_action",
    "no_action_converted",
    "published",
    "sent",
    "delivered",
    "opened",
    "machine_opened",
    "clicked",
    "replied",
    "converted",
    "unsubscribed",
    "complained",
    "bounced",
    "failed",
    "rated",
)
#: Kind of exposure → the counts of customers compared with such an exposure, and of those among them who ordered.
COMPARED = {
    REQUESTED: ("requested_customers", "requested_customers_converted"),
    HOLDOUT: ("holdout_customers", "holdout_customers_converted"),
}
_COMPARED = tuple(chain.from_iterable(COMPARED.values()))
_SUMS = (*FLAGS, *_COMPARED, "rating_sum")
_MONEY = ("revenue", "requested_revenue", "holdout_revenue")
#: Rate → its denominator. What happens to a message is a share of the published ones, so that rates are comparable between
#: arms and channels whatever else a sender reports (few report `delivered`), and no arm gains by reaching fewer people.
_SHARE_OF = {
    **dict.fromkeys(("delivered", "opened", "clicked", "replied", "converted"), "published"),
    **dict.fromkeys(("unsubscribed", "complained", "bounced", "failed"), "published"),
    "published": "requested",
    "requested_converted": "requested",
    "holdout_converted": "holdout",
    "no_action_converted": "no_action",
    **{converted: customers for customers, converted in COMPARED.values()},
}
#: The label of a sum of records that differ in this label.
MIXED = "*"


def with_rates(counts: FeedbackMetrics) -> FeedbackMetrics:
    """Returns the counts with `rates` and `uplift` computed from them. A rate with a denominator of 0 is left out.

    In a sum of records from different moments a numerator may exceed its denominator; the rate is then 1.

    >>> from datetime import UTC, datetime
    >>> at = datetime(2024, 5, 1, tzinfo=UTC)
    >>> row = FeedbackMetrics(campaign_id="c", partition=0, window_start=at, window_end=at, updated_at=at, published=4)
    >>> {name: rate.value for name, rate in with_rates(msgspec.structs.replace(row, clicked=1)).rates.items()}["clicked"]
    0.25
    """
    return msgspec.structs.replace(counts, rates=_rates(counts), uplift=uplift(_windows([counts])))


def _rates(counts: FeedbackMetrics) -> dict[str, Estimate]:
    rates = {}
    for name, whole in _SHARE_OF.items():
        if trials := getattr(counts, whole):
            rates[name] = wilson(min(getattr(counts, name), trials), trials)
    return rates


def combine(rows: Iterable[FeedbackMetrics], intervals: int = 1) -> FeedbackMetrics:
    """Returns the sum of records, with rates of the sum and the uplift by window. Raises ValueError if there are none.

    Pass the newest record of each key, never a sum: its windows are lost. A label that the records do not share is `*`, the
    partition -1; the window runs from the first start to the last end. `intervals`: the number of uplift intervals, this one
    included, that must hold simultaneously. Records of several campaigns have no uplift: the campaigns share customers.
    """
    found = list(rows)
    if not found:
        raise ValueError("there are no records to combine")
    sums = {name: sum(getattr(row, name) for row in found) for name in _SUMS}
    money = {name: _added(found, name) for name in (*_MONEY, "ignored")}
    total = FeedbackMetrics(
        campaign_id=_shared(found, "campaign_id"),
        channel=_shared(found, "channel"),
        variation_id=_shared(found, "variation_id"),
        target_group=_shared(found, "target_group"),
        partition=found[0].partition if len({row.partition for row in found}) == 1 else -1,
        window_start=min(row.window_start for row in found),
        window_end=max(row.window_end for row in found),
        updated_at=max(row.updated_at for row in found),
    )
    added = msgspec.structs.replace(total, **sums, **money)
    effect = uplift(_windows(found), intervals) if total.campaign_id != MIXED else None
    return msgspec.structs.replace(added, rates=_rates(added), uplift=effect)


def has_uplift(rows: Iterable[FeedbackMetrics]) -> bool:
    """Returns whether these records together have an uplift."""
    found = list(rows)
    return len({row.campaign_id for row in found}) == 1 and uplift(_windows(found)) is not None


def _windows(rows: Iterable[FeedbackMetrics]) -> Mapping[float, Groups]:
    """Returns window start [s since the epoch] → its customers."""
    found: dict[float, Groups] = {}
    for row in rows:
        if any(getattr(row, name) for name in _COMPARED):
            start_s = row.window_start.timestamp()
            found[start_s] = found.get(start_s, Groups()).plus(Groups(*(getattr(row, name) for name in _COMPARED)))
    return found


def _shared(rows: Sequence[FeedbackMetrics], field: str) -> str:
    values: set[str] = {getattr(row, field) for row in rows}
    return values.pop() if len(values) == 1 else MIXED


def _added(rows: Iterable[FeedbackMetrics], field: str) -> dict[str, float]:
    total: Counter[str] = Counter()
    for row in rows:
        total.update(getattr(row, field))
    return {name: round(amount, 4) for name, amount in sorted(total.items())}
