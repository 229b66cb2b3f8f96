"""Joins the logged decisions with what they earned: the data for off-policy evaluation (off_policy.py)."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable

import msgspec

from schemas.events import ORDER_CANCELLED, ORDER_COMPLETED, AnyEvent, Track
from schemas.messages import Decision, Feedback
from workers.core.playbook.policy import Rewards


class LoggedDecision(msgspec.Struct, frozen=True, kw_only=True):
    """One decision among at least two arms and what it earned; `propensities` covers every arm and sums to 1."""

    user_id: str
    campaign_id: str
    target_group: str
    arm: str
    decided_at_s: float
    propensities: dict[str, float]
    reward: float


class LoggedFeedback:
    """Joins decisions with their feedback and orders. Accepts records of the topics in any order; repetitions change nothing.

    Only decisions with a choice count: `requested` and `no_action_chosen`, with at least two arms, of a campaign that is not in
    shadow mode. An order that is not cancelled earns `converted` for the customer's newest such decision within the last
    `attribution_s`, with or without a message.
    """

    def __init__(self, rewards: Rewards, attribution_s: float, keep: int = 20_000) -> None:
        """`keep`: the number of decisions kept, the newest ones."""
        self._keep = keep
        self._rewards = rewards
        self._attribution_s = attribution_s
        self._decisions: dict[str, Decision] = {}
        self._happened: dict[str, set[str]] = defaultdict(set)
        self._orders: dict[str, dict[str, float]] = defaultdict(dict)
        self._cancelled: set[tuple[str, str]] = set()

    def add(self, value: Decision | Feedback | AnyEvent) -> None:
        """Adds one record of message.decisions, message.feedback or customer.events."""
        match value:
            case Decision(reason="requested" | "no_action_chosen", mode=mode) if (
                len(value.propensities) >= 2 and mode != "shadow"
            ):
                self._decisions[value.decision_id] = value
                if len(self._decisions) > self._keep:
                    oldest = self._decisions.pop(next(iter(self._decisions)))
                    self._happened.pop(oldest.message_id or "", None)
            case Feedback() if not (value.status == "opened" and value.machine_opened):
                self._happened[value.message_id].add(value.status)
            case Track(event=event) if event == ORDER_COMPLETED:
                at_s = value.timestamp.timestamp()
                self._orders[value.customer_id][value.properties.order_id or value.message_id] = at_s
            case Track(event=event) if event == ORDER_CANCELLED and value.properties.order_id:
                self._cancelled.add((value.customer_id, value.properties.order_id))
            case _:
                pass

    def scored(self) -> list[LoggedDecision]:
        """Returns every decision that counts, with what it has earned so far, in time order."""
        ordered = sorted(self._decisions.values(), key=lambda decision: (decision.decided_at, decision.decision_id))
        converted = self._converted(ordered)
        return [
            LoggedDecision(
                user_id=decision.user_id,
                campaign_id=decision.campaign_id,
                target_group=decision.target_group or "",
                arm=decision.variation_id or "",
                decided_at_s=decision.decided_at.timestamp(),
                propensities=decision.propensities,
                reward=self._reward(decision, decision.decision_id in converted),
            )
            for decision in ordered
            if decision.variation_id in decision.propensities
        ]

    def _reward(self, decision: Decision, converted: bool) -> float:
        happened = self._happened.get(decision.message_id or "", set()) | ({"converted"} if converted else set())
        worth = msgspec.structs.asdict(self._rewards)
        return sum((worth.get(status, 0.0) for status in sorted(happened)), 0.0)

    def _converted(self, ordered: Iterable[Decision]) -> set[str]:
        """Returns the ids of the decisions to which an order is attributed: the last touch within the window."""
        by_user: dict[str, tuple[list[float], list[str]]] = defaultdict(lambda: ([], []))
        for decision in ordered:
            times, ids = by_user[decision.user_id]
            times.append(decision.decided_at.timestamp())
            ids.append(decision.decision_id)
        found = set()
        for user_id, (times, ids) in by_user.items():
            for order_id, at_s in self._orders.get(user_id, {}).items():
                if (user_id, order_id) in self._cancelled:
                    continue
                position = bisect_right(times, at_s) - 1
                if position >= 0 and at_s - times[position] <= self._attribution_s:
                    found.add(ids[position])
        return found
