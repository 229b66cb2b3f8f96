"""Turns records into facts and joins them to their exposure."""

from __future__ import annotations

from schemas.events import ORDER_COMPLETED, Track
from schemas.messages import Decision
from workers.core.attribution import counters, model, validation
from workers.core.attribution.attribution import is_within, refusal
from workers.core.attribution.model import PUBLISHED, Customer, Exposure, Fact, Order, Waiting
from workers.core.attribution.rewards import earning_bits
from workers.core.common.ids import event_hash
from workers.core.experimentation import uplift
from workers.core.playbook.policy import Learning

_LONGEST_GRACE_S = 86_400.0


def grace_s(learning: Learning) -> float:
    """Returns how long after its attribution window an exposure still accepts late records [s]."""
    return min(_LONGEST_GRACE_S, learning.attribution_s)


def exposure(decision: Decision, learning: Learning) -> Exposure:
    """Returns the exposure of a decision, under the terms of the current playbook."""
    decided_at = decision.decided_at.timestamp()
    start_ms, end_ms = counters.window_ms(decided_at, learning.metrics_window_s)
    return Exposure(
        decision_id=decision.decision_id,
        message_id=decision.message_id or "",
        kind=decision.reason,
        campaign=decision.campaign_id,
        channel=decision.channel or "",
        arm=decision.variation_id or "",
        context=decision.target_group or "",
        decided_at=decided_at,
        start_ms=start_ms,
        end_ms=end_ms,
        window_s=learning.attribution_s,
        grace_s=grace_s(learning),
        earning=earning_bits(learning.rewards),
        comparable=decision.holdout_share is None or 0.0 < decision.holdout_share < 1.0,
    )


def is_exposure(decision: Decision) -> bool:
    """Returns whether a decision's effect is measured. In shadow mode nothing is sent, so no one is treated or held out.

    An older record does not carry its campaign's mode: only its reason counts.
    """
    return decision.reason in model.EXPOSURES and decision.mode != "shadow"


def compare(customer: Customer, sealed: Exposure) -> bool:
    """Counts the customer for the uplift with this exposure, the earliest that is not sealed. Returns whether it counts."""
    period = uplift.period_of(sealed.start_ms / 1000)
    width_s = (sealed.end_ms - sealed.start_ms) / 1000  # a window may begin in one period and end in the next
    until_s = uplift.period_end_s(period) + width_s + sealed.window_s + sealed.grace_s
    return model.compare(customer, sealed, period, until_s)


def take_order(customer: Customer, event: Track) -> str:
    """Applies an event about an order that was made, refunded or cancelled. Returns the problem with it, or "".

    A refund of an order that counts for no open exposure changes no counts: sealed ones stay as they are.

    Raises InvalidEvent for an event that cannot be used at all.
    """
    if event.event == ORDER_COMPLETED:
        order_key, order, problem = validation.order(event)
        model.add_order(customer.orders, order_key, event=order)
        return problem
    order_key, refund = validation.refund(event)
    record = model.add_refund(customer.orders, order_key, event_hash(f"refund:{event.message_id}"), refund)
    counts_somewhere = any(is_within(exposure, record.at) for exposure in customer.exposures.values())
    return "refund_counts_nowhere" if record.known and not counts_somewhere else ""


def outcome(known: str, reason: str) -> str:
    """Returns the outcome that counts if a request has two, which should not happen: `published`, else the first by name.

    >>> outcome("stale", "published"), outcome("stale", "paused"), outcome("", "stale")
    ('published', 'paused', 'stale')
    """
    reasons = {known, reason} - {""}
    return PUBLISHED if PUBLISHED in reasons else min(reasons)


def attach(customer: Customer, to: Exposure, digest: int, fact: Fact) -> bool:
    """Adds feedback to its exposure, and the order it claims to the customer's orders; returns False if it was already known."""
    if fact.status == "converted" and not refusal(to, fact):
        model.add_order(customer.orders, fact.order_key, claim=Order(fact.at, fact.amount, fact.currency))
    return model.add_fact(to.facts, digest, fact)


def wait(customer: Customer, digest: int, message_id: str, fact: Fact, until_s: float) -> list[int]:
    """Keeps feedback until its decision arrives. Returns the hashes evicted beyond MAX_WAITING: those that waited longest."""
    known = customer.waiting.get(digest)
    if known is not None:
        merged: dict[int, Fact] = {digest: known.fact}
        model.add_fact(merged, digest, fact)
        fact, until_s = merged[digest], known.until
    customer.waiting[digest] = Waiting(message_id, fact, until_s)
    evicted = []
    while len(customer.waiting) > model.MAX_WAITING:
        evicted.append(min(customer.waiting, key=lambda held: (customer.waiting[held].until, held)))
        del customer.waiting[evicted[-1]]
    return evicted
