"""Runs a lane of learn without Kafka, and computes its expected result independently."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from benchmarks.memory_store import MemoryStore
from schemas import codec
from schemas.base import Wire
from schemas.control import DeadLetter
from schemas.events import Properties, Track
from schemas.learning import FeedbackMetrics, PolicySnapshot
from schemas.messages import Decision, Feedback, Outcome
from workers.core.attribution.processor import (
    DECISIONS,
    EVENTS,
    FEEDBACK,
    OUTCOMES,
    AttributionConfig,
    AttributionProcessor,
)
from workers.core.attribution.reward_delays import share_within
from workers.core.playbook.policy import Learning
from workers.core.stream.effects import Effects
from workers.core.stream.records import Output, Record

#: 2024-03-04 12:00:00 UTC
NOON = 1_709_553_600.0
HOUR = 3600.0
LEARNING = Learning(attribution_s=6 * HOUR, metrics_window_s=HOUR)
_TOPIC: dict[type[Wire], str] = {Decision: DECISIONS, Outcome: OUTCOMES, Feedback: FEEDBACK, Track: EVENTS}
Input = Decision | Outcome | Feedback | Track


def at(at_s: float) -> datetime:
    """Converts seconds since the epoch to the type on the wire."""
    return datetime.fromtimestamp(at_s, UTC)


def decision(number: int, at_s: float = NOON, user: str = "ana", reason: Any = "requested", **fields: Any) -> Decision:
    """Returns decision d<number>, which requests message m<number> if its reason is `requested`."""
    values: dict[str, Any] = {
        "decision_id": f"d{number}",
        "user_id": user,
        "campaign_id": "cart",
        "occurrence_id": f"o{number}",
        "trigger": "cart_abandonment",
        "decided_at": at(at_s),
        "reason": reason,
        "message_id": f"m{number}" if reason == "requested" else None,
        "channel": "push",
        "variation_id": "warm",
        "target_group": "sports",
    }
    return Decision(**values | fields)


def outcome(number: int, at_s: float = NOON, user: str = "ana", reason: Any = "published") -> Outcome:
    """Returns the outcome of the request of decision d<number>."""
    return Outcome(
        message_id=f"m{number}",
        decision_id=f"d{number}",
        user_id=user,
        campaign_id="cart",
        channel="push",
        reason=reason,
        requested_at=at(at_s),
        ended_at=at(at_s),
    )


def feedback(event_id: str, number: int, status: Any, at_s: float = NOON, user: str = "ana", **fields: Any) -> Feedback:
    """Returns feedback on message m<number>."""
    return Feedback(
        event_id=event_id, message_id=f"m{number}", user_id=user, status=status, timestamp=at(at_s), **fields
    )


def order(event_id: str, at_s: float = NOON, user: str = "ana", **properties: Any) -> Track:
    """Returns Order Completed."""
    values: dict[str, Any] = {"order_id": event_id, "total": 10.0, "currency": "EUR"} | properties
    return Track(
        event="Order Completed",
        message_id=event_id,
        timestamp=at(at_s),
        user_id=user,
        properties=Properties(**values),
    )


def refund(event_id: str, order_id: str | None, at_s: float = NOON, user: str = "ana", **properties: Any) -> Track:
    """Returns Order Refunded, or with `cancelled` Order Cancelled."""
    cancelled = properties.pop("cancelled", False)
    return Track(
        event="Order Cancelled" if cancelled else "Order Refunded",
        message_id=event_id,
        timestamp=at(at_s),
        user_id=user,
        properties=Properties(order_id=order_id, **properties),
    )


class LearnHarness:
    """One lane with its store. `wall_s` is the time of the next batch."""

    def __init__(self, learning: Learning = LEARNING, clock: Any = "wall", **config: Any) -> None:
        self.store = MemoryStore()
        self.outputs: list[Output] = []
        self.tally: Counter[tuple[str, ...]] = Counter()
        self.wall_s = NOON
        self._learning = learning
        values: dict[str, Any] = {"clock": clock, "partition_of": lambda _key: 3} | config
        self._config = AttributionConfig(**values)
        self._clock_s = 0.0
        self._offset = 0
        self.restart()

    def restart(self) -> None:
        """Starts a new lane on the committed state."""
        self.core = AttributionProcessor(self._config, self._learning, self.store, self._clock_s)

    def run(self, *values: Input | Record, caught_up: bool = True) -> Effects:
        """Applies and commits one batch."""
        records = [value if isinstance(value, Record) else self.record(value) for value in values]
        effects = self.core.apply(records, self.wall_s, caught_up=caught_up)
        self.store.commit(effects)
        self._clock_s = effects.clock_s
        self.outputs.extend(effects.outputs)
        self.tally.update(effects.tally)
        return effects

    def tick(self, wall_s: float, *, caught_up: bool = True) -> Effects:
        """Advances the time and applies an empty batch."""
        self.wall_s = wall_s
        return self.run(caught_up=caught_up)

    def record(self, value: Input) -> Record:
        """Returns a value as the next record of its topic."""
        user = value.user_id or ""
        return self.raw(_TOPIC[type(value)], user.encode(), codec.encode(value))

    def raw(self, topic: str, key: bytes | None, value: bytes | None) -> Record:
        """Returns a record with any content."""
        self._offset += 1
        return Record(topic=topic, partition=3, offset=self._offset, key=key, value=value, appended_at_s=NOON)

    @property
    def metrics(self) -> dict[str, FeedbackMetrics]:
        """The newest metrics record of each key."""
        return newest_metrics(
            (output.key, output.value) for output in self.outputs if output.topic == "feedback.metrics"
        )

    @property
    def snapshots(self) -> list[PolicySnapshot]:
        """All snapshots, in order."""
        values = [output.value for output in self.outputs if output.topic == "policy.snapshots"]
        return [codec.decode(PolicySnapshot, value) for value in values]

    @property
    def dead_letters(self) -> list[DeadLetter]:
        """All dead letters, in order."""
        values = [output.value for output in self.outputs if output.topic == "dead.letters"]
        return [codec.decode(DeadLetter, value) for value in values]

    def the_row(self) -> FeedbackMetrics:
        """Returns the only metrics record."""
        (row,) = self.metrics.values()
        return row

    def kinds(self) -> Counter[bytes]:
        """Returns the number of state entries of each kind."""
        return Counter(key[:1] for key in self.store.values)


def newest_metrics(records: Iterable[tuple[bytes | None, bytes | None]]) -> dict[str, FeedbackMetrics]:
    """Returns the newest record of each key of feedback.metrics."""
    return {(key or b"").decode(): codec.decode(FeedbackMetrics, value) for key, value in records}


COUNTS = (
    *("decisions", "requested", "requested_converted", "holdout", "holdout_converted", "no_action"),
    *("no_action_converted", "published", "sent", "delivered", "opened", "machine_opened", "clicked", "replied"),
    *("converted", "unsubscribed", "complained", "bounced", "failed", "rated", "rating_sum"),
)
#: Counts that are updated when a decision is sealed.
CUSTOMERS = ("requested_customers", "requested_customers_converted", "holdout_customers", "holdout_customers_converted")
MONEY = ("revenue", "requested_revenue", "holdout_revenue")
Sums = dict[str, dict[str, Any]]


def sums_of(metrics: dict[str, FeedbackMetrics]) -> Sums:
    """Returns key → its counts that are not 0."""
    found = {}
    for key, row in metrics.items():
        values = {name: getattr(row, name) for name in (*COUNTS, *CUSTOMERS, *MONEY, "ignored")}
        found[key] = {name: value for name, value in values.items() if value}
    return found


class Oracle:
    """The expected result for a set of records, independent of their order: every record is compared with all others.

    `clock_s` is the time at which everything has been read; decisions up to `sealed_s` are final.
    """

    def __init__(
        self, values: Sequence[Input], learning: Learning, clock_s: float, partition: int = 3, *, sealed_s: float = 0.0
    ) -> None:
        self.learning, self.clock_s, self.sealed_s, self.partition = learning, clock_s, sealed_s, partition
        self.grace_s = min(learning.attribution_s, 86_400.0)
        self.decisions = {value.decision_id: value for value in values if isinstance(value, Decision)}
        self.outcomes = {value.decision_id: value.reason for value in values if isinstance(value, Outcome)}
        silent = ("queued", "dropped", "skipped")
        feedback = [value for value in values if isinstance(value, Feedback) and value.status not in silent]
        self.feedback = {value.event_id: value for value in feedback}
        events = [value for value in values if isinstance(value, Track)]
        self.orders = self._orders([event for event in events if event.timestamp.timestamp() <= clock_s + 300])
        self.rows: Sums = {}
        self.trials: dict[tuple[str, str, str], list[tuple[float, float | None, float]]] = defaultdict(list)
        for one in self.decisions.values():
            self._count(one)
        self.rows = {key: {name: v for name, v in row.items() if v} for key, row in self.rows.items()}

    # -- orders ------------------------------------------------------------------------------------------------------

    def _orders(self, events: list[Track]) -> list[tuple[str, float, str, float | None]]:
        """Returns (customer, time, currency, amount), once per order."""
        found: dict[tuple[str, str], tuple[float, str, float | None]] = {}
        for one in self.feedback.values():
            owner = self._owner(one)
            if one.status == "converted" and owner is not None and not self._uncounted(one, owner):
                key = one.user_id, f"order {one.order_id}" if one.order_id else f"feedback {one.event_id}"
                amount = one.revenue if one.currency else None
                found[key] = min(
                    found.get(key, (9e99, "", None)), (one.timestamp.timestamp(), one.currency or "", amount)
                )
        in_events: dict[tuple[str, str], tuple[float, str, float | None]] = {}
        for event in events:
            if event.event != "Order Completed":
                continue
            key = event.user_id or "", f"order {event.properties.order_id}"
            amount = event.properties.total if event.properties.currency else None
            new = (event.timestamp.timestamp(), event.properties.currency or "" if amount is not None else "", amount)
            in_events[key] = min(in_events.get(key, (9e99, "", None)), new)
        for key, by_event in in_events.items():
            priced = by_event if by_event[2] is not None else found.get(key, by_event)
            found[key] = by_event[0], *priced[1:]
        for event in {event.message_id: event for event in events if event.event != "Order Completed"}.values():
            key = event.user_id or "", f"order {event.properties.order_id}"
            when, currency, amount = found.get(key, (0.0, "", None))
            if event.event == "Order Cancelled":
                found.pop(key, None)
            elif amount is not None and event.properties.currency in (None, currency):
                back = event.properties.total
                found[key] = when, currency, max(0.0, amount - back) if back is not None else 0.0
        return [(user, *rest) for (user, _), rest in found.items()]

    def _in_window(self, one: Decision, when: float) -> bool:
        decided = one.decided_at.timestamp()
        return decided <= when <= decided + self.learning.attribution_s

    def _touched(self, one: Decision, candidates: Iterable[Decision]) -> list[tuple[float, str, float | None]]:
        """Returns the orders whose last candidate before them is this decision."""
        rivals = [rival for rival in candidates if rival.user_id == one.user_id]
        if one not in rivals:
            return []
        found = []
        for user, when, currency, amount in self.orders:
            before = [rival for rival in rivals if rival.decided_at.timestamp() <= when]
            if user != one.user_id or not before:
                continue
            newest = max(before, key=lambda rival: (rival.decided_at, rival.decision_id))
            if newest is one and self._in_window(one, when):
                found.append((when, currency, amount))
        return found

    # -- feedback ----------------------------------------------------------------------------------------------------

    def _owner(self, one: Feedback) -> Decision | None:
        requests = [d for d in self.decisions.values() if d.reason == "requested" and d.mode != "shadow"]
        owners = [d for d in requests if d.message_id == one.message_id]
        return owners[0] if owners else None

    def _uncounted(self, one: Feedback, owner: Decision) -> str:
        """Returns why feedback does not count, regardless of other feedback on its message; "" = it may count."""
        when, decided = one.timestamp.timestamp(), owner.decided_at.timestamp()
        if one.user_id != owner.user_id:
            return "wrong_customer"
        if when > self.clock_s + 300:
            return "future"
        if one.status == "rated" and one.rating is None:
            return "no_rating"
        if one.status == "converted" and one.revenue is not None:
            if not 0 <= one.revenue <= 1e9:
                return "bad_revenue"
            if one.currency is None:
                return "revenue_without_currency"
        if when < decided - 300:
            return "before_message"
        return "expired" if when > decided + self.learning.attribution_s + self.grace_s else ""

    def _feedback_of(self, one: Decision) -> tuple[dict[str, float], Counter[str], int]:
        mine = [f for f in self.feedback.values() if one.message_id and f.message_id == one.message_id]
        refused = {f.event_id: reason for f in mine if (reason := self._uncounted(f, one))}
        good = [f for f in mine if f.event_id not in refused]
        ignored = Counter(refused.values())
        delivered = min((f.timestamp.timestamp() for f in good if f.status == "delivered"), default=None)
        happened: dict[str, float] = {}
        rating = max(
            ((f.timestamp, f.rating or 0) for f in good if f.status == "rated"), default=(None, 0), key=lambda r: r[0]
        )[1]
        ended = self.outcomes.get(one.decision_id)
        for f in good:
            when, status = (
                f.timestamp.timestamp(),
                f.status + ("!" if f.status == "opened" and f.machine_opened else ""),
            )
            if status in ("rated", "converted"):
                continue
            if status in ("opened", "clicked") and delivered is not None and when < delivered - 5:
                ignored["before_delivery"] += 1
            elif ended == "published":
                happened[status] = min(when, happened.get(status, when))
            elif ended is not None:
                ignored["not_published"] += 1
        return happened, ignored, rating

    # -- sums --------------------------------------------------------------------------------------------------------

    def _count(self, one: Decision) -> None:
        decided, width = one.decided_at.timestamp(), self.learning.metrics_window_s
        labels = (one.campaign_id, one.channel or "", one.variation_id or "", one.target_group or "")
        row = self.rows.setdefault("|".join((*labels, f"{decided // width * width:.0f}", str(self.partition))), {})

        def add(name: str, amount: int = 1) -> None:
            row[name] = row.get(name, 0) + amount

        def earn(name: str, orders: Iterable[tuple[float, str, float | None]]) -> None:
            total = row.setdefault(name, {})
            for _, currency, amount in orders:
                if amount:
                    total[currency] = round(total.get(currency, 0.0) + amount, 4)

        add("decisions")
        kinds = {"requested": "requested", "holdout": "holdout", "no_action_chosen": "no_action"}
        if one.reason not in kinds or one.mode == "shadow":
            return
        own = [o[1:] for o in self.orders if o[0] == one.user_id and self._in_window(one, o[1])]
        add(kinds[one.reason])
        add(f"{kinds[one.reason]}_converted", bool(own))
        if one.reason != "no_action_chosen":
            earn(f"{one.reason}_revenue", own)
        if self._is_compared(one):
            add(f"{one.reason}_customers")
            add(f"{one.reason}_customers_converted", bool(own))
        happened, ignored, rating = self._feedback_of(one)
        row["ignored"] = dict(Counter(row.get("ignored", {})) + ignored)
        add("rated", bool(rating))
        add("rating_sum", rating)
        if self.outcomes.get(one.decision_id) == "published":
            add("published")
            published = [d for d in self.decisions.values() if self.outcomes.get(d.decision_id) == "published"]
            converted = self._touched(one, [d for d in published if d.reason == "requested" and d.mode != "shadow"])
            add("converted", bool(converted))
            earn("revenue", converted)
            for status in happened:
                add({"opened!": "machine_opened"}.get(status, status))
        self._try(one, happened)

    def _is_compared(self, one: Decision) -> bool:
        """Returns whether a customer counts with this decision: the first of its campaign and period, once that is sealed."""

        def place(decision: Decision) -> tuple[str, str, int]:
            start_s = decision.decided_at.timestamp() // self.learning.metrics_window_s * self.learning.metrics_window_s
            return decision.user_id, decision.campaign_id, int((start_s - 4 * 86_400) // (28 * 86_400))

        drawn = [
            decision
            for decision in self.decisions.values()
            if decision.reason in ("requested", "holdout")
            and decision.mode != "shadow"
            and (decision.holdout_share is None or 0 < decision.holdout_share < 1)
            and place(decision) == place(one)
        ]
        first = min(drawn, key=lambda decision: (decision.decided_at, decision.decision_id), default=None)
        window_s = self.learning.attribution_s + self.grace_s
        return first is one and one.decided_at.timestamp() + window_s <= self.sealed_s

    def _is_trial(self, one: Decision) -> bool:
        if one.mode == "shadow":
            return False
        ended = self.outcomes.get(one.decision_id) in (None, "published", "converted")
        return one.reason == "no_action_chosen" or (one.reason == "requested" and ended)

    def _try(self, one: Decision, happened: dict[str, float]) -> None:
        if not self._is_trial(one):
            return
        decided = one.decided_at.timestamp()
        times = {s: when for s, when in happened.items() if when <= decided + self.learning.attribution_s}
        if orders := self._touched(one, [d for d in self.decisions.values() if self._is_trial(d)]):
            times["converted"] = min(order[0] for order in orders)
        earned = {s: getattr(self.learning.rewards, s, 0.0) for s in times}
        delay = min((times[s] - decided for s, reward in earned.items() if reward), default=None)
        key = one.campaign_id, one.target_group or "", one.variation_id or ""
        self.trials[key].append((decided, delay, sum(earned.values())))

    def statistics(self, campaign: str, clock_s: float) -> dict[tuple[str, str], tuple[float, float, float, float]]:
        """Returns (context, arm) → (trials, pending, rewards, reward squares) of a snapshot at this time."""
        every = [t for key, trials in self.trials.items() if key[0] == campaign for t in trials]
        delays = Counter(_bucket(t[1]) for t in every if t[1] is not None)
        window, slot = self.learning.attribution_s, self.learning.attribution_s / 64
        found = {}
        for (of, context, arm), trials in self.trials.items():
            if of != campaign:
                continue
            ages = [
                (clock_s // slot - decided // slot) * slot if delay is None else None for decided, delay, _ in trials
            ]
            found[context, arm] = (
                sum(1.0 if age is None else share_within(age, window, delays) for age in ages),
                float(sum(age is not None and age < window for age in ages)),
                sum(reward for *_, reward in trials),
                sum(reward * reward for *_, reward in trials),
            )
        return found


def _bucket(delay_s: float) -> int:
    """Returns the bucket of a delay: two buckets per doubling, from one second on."""
    return max(number for number in range(64) if number == 0 or 2 ** (number / 2) <= delay_s)
