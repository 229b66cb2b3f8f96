"""The `learn` stage: joins decisions, outcomes, feedback and orders per customer, and keeps the results as sums.

Every record adds a fact; what the customer's facts add to the sums is then recomputed and replaces what they added before.
Repeated records, any interleaving of the four topics and restarts therefore lead to the same sums. Once the attribution
window of a decision and its grace period are over, it is sealed: its facts are dropped, its part of the sums stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from schemas import codec
from schemas.messages import Decision, Feedback, Outcome
from workers.core.attribution import joins, keys, model, validation
from workers.core.attribution.aggregates import Sums
from workers.core.attribution.attribution import contributions
from workers.core.attribution.clock import make_clock
from workers.core.attribution.model import Customer, Exposure
from workers.core.attribution.unit_of_work import MessageLocation, UnitOfWork, first_exposure
from workers.core.common.ids import event_hash
from workers.core.common.timestamps import instant
from workers.core.errors import InvalidEvent
from workers.core.playbook.policy import Learning
from workers.core.stream import decoding
from workers.core.stream.dead_letters import dead_letter
from workers.core.stream.effects import Effects
from workers.core.stream.metrics import CounterName
from workers.core.stream.records import Record, StateStore

STAGE = "learn"
DECISIONS, OUTCOMES, FEEDBACK, EVENTS = "message.decisions", "message.outcomes", "message.feedback", "customer.events"
#: Feedback may arrive this long before its decision [s].
WAIT_S = 3600.0
#: How long the customer of a sealed message is remembered: the retention of the feedback topic [s].
REMEMBER_S = 28 * 86_400.0
_HOUR_S = 3600.0


class AttributionConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a lane besides its playbook.

    `clock`: `wall` = wall-clock time; `event` = the newest time of a decision, an outcome or an order (replay). Changes are
    published every `snapshot_interval_s` by that clock, and in a replay also whenever there is no more input.
    """

    clock: Literal["wall", "event"]
    partition_of: Callable[[bytes], int]
    snapshot_interval_s: float = 5.0
    timers_per_batch: int = 1_000
    cache_size: int = 20_000


class LaneState(msgspec.Struct, frozen=True, array_like=True):
    """The lane's own record. `sealed_until`: decisions that would be sealed by then are no longer accepted [s];
    `told_at`: the time of the last publication [s].
    """

    partition: int = 0
    told_at: float = 0.0
    sealed_until: float = 0.0


#: Created at import, because each lane starts in its own thread (see schemas.codec).
_decode_state = msgspec.msgpack.Decoder(LaneState).decode


class AttributionProcessor:
    """One lane of `learn`. What `apply` returns must be committed before the next call (core.stream.effects.Processor)."""

    def __init__(self, config: AttributionConfig, learning: Learning, store: StateStore, clock_s: float = 0.0) -> None:
        self._config = config
        self._learning = learning
        self._grace_s = joins.grace_s(learning)
        self._memory = UnitOfWork(store, learning.attribution_s + self._grace_s, config.cache_size)
        self._sums = Sums(store, learning)
        stored = store.get(keys.LANE)
        self._state = _decode_state(stored) if stored is not None else LaneState()
        self._clock = make_clock(config.clock, clock_s, self._state.sealed_until)
        sealed_until, told_at = map(self._clock.not_after, (self._state.sealed_until, self._state.told_at))
        self._state = msgspec.structs.replace(self._state, sealed_until=sealed_until, told_at=told_at)
        self._rows_checked_at_s = 0.0
        self._effects = Effects()
        self._ignored: list[tuple[bytes, str]] = []

    def apply(self, records: list[Record], wall_s: float, *, caught_up: bool) -> Effects:
        """See core.stream.effects.Processor."""
        self._effects = effects = Effects()
        before, self._ignored = self._state, []
        self._memory.begin()
        self._sums.begin()
        self._clock.begin_batch(wall_s)
        for record in records:
            try:
                self._apply_one(record)
            except InvalidEvent as error:
                effects.outputs.append(dead_letter(record, STAGE, error, instant(wall_s)))
                self._count("dead_letters", STAGE, error.reason)
        if records and self._state.partition != records[0].partition:
            self._state = msgspec.structs.replace(self._state, partition=records[0].partition)
        for customer in list(self._memory.changed.values()):
            self._recount(customer)
        if caught_up:
            self._run_timers()
        for row_key, reason in self._ignored:
            self._sums.ignore(row_key, reason)
        self._publish_sums(idle=caught_up and not records)
        self._finish(before)
        return effects

    def _apply_one(self, record: Record) -> None:
        match record.topic:
            case "message.decisions":
                self._decision(record)
            case "message.outcomes":
                self._outcome(record)
            case "message.feedback":
                self._feedback(record)
            case "customer.events":
                self._event(record)
            case _:
                raise InvalidEvent("unknown_topic", record.topic)

    # -- records -----------------------------------------------------------------------------------------------------

    def _decision(self, record: Record) -> None:
        decision = decoding.read(Decision, record)
        decided_at, digest = validation.time_of(decision.decided_at.timestamp()), event_hash(decision.decision_id)
        self._clock.saw_decision(decided_at)
        exposure = joins.exposure(decision, self._learning)
        if exposure.sealed_at <= self._state.sealed_until:
            self._count("learn_ignored", DECISIONS, "late")  # it would count twice, or its feedback was dropped
            return
        customer = self._memory.of(decision.user_id)
        if digest in customer.settled or decision.decision_id in customer.exposures:
            self._count("learn_ignored", DECISIONS, "repeated")
            return
        ended = customer.ended.pop(decision.decision_id, None)
        if not joins.is_exposure(decision):
            customer.settled[digest] = exposure.sealed_at
            model.forget_first(customer.settled, model.MAX_SETTLED)
            self._sums.count_decision(exposure)
            return
        customer.exposures[decision.decision_id] = exposure
        exposure.outcome = ended.reason if ended is not None else ""
        self._memory.remember_message(customer.customer_id, exposure, exposure.sealed_at + REMEMBER_S)
        for digest in [key for key, waiting in customer.waiting.items() if waiting.message_id == exposure.message_id]:
            joins.attach(customer, exposure, digest, customer.waiting.pop(digest).fact)

    def _outcome(self, record: Record) -> None:
        outcome = decoding.read(Outcome, record)
        self._clock.saw_decision(validation.time_of(outcome.ended_at.timestamp()))
        customer = self._memory.of(outcome.user_id)
        exposure = customer.exposures.get(outcome.decision_id)
        if exposure is not None:
            exposure.outcome = joins.outcome(exposure.outcome, outcome.reason)
        elif event_hash(outcome.decision_id) not in customer.settled:
            known = customer.ended.get(outcome.decision_id)
            reason = joins.outcome(known.reason if known else "", outcome.reason)
            customer.ended[outcome.decision_id] = model.Ended(reason, self._clock.timers_s + WAIT_S)

    def _feedback(self, record: Record) -> None:
        feedback = self._own_feedback(record)
        if feedback is None:
            return
        if feedback.status not in validation.STATUSES:
            self._count("feedback", feedback.status, "noted")
            return
        fact = validation.fact(feedback, self._clock.read_at_s(record))
        customer, digest = self._memory.of(feedback.user_id), event_hash(f"feedback:{feedback.event_id}")
        message = self._memory.message(feedback.message_id)
        exposure = customer.of_message(feedback.message_id)
        if digest in customer.settled:
            result = "repeated"
        elif exposure is not None:
            result = "taken" if joins.attach(customer, exposure, digest, fact) else "repeated"
        elif message is not None and digest not in customer.waiting:
            result = "ignored"
            self._misplaced(customer, digest, message)
        else:
            result = "repeated" if digest in customer.waiting else "waiting"
            for evicted in joins.wait(customer, digest, feedback.message_id, fact, self._clock.timers_s + WAIT_S):
                self._settle(customer, evicted, "unknown_message")
        self._count("feedback", feedback.status, result)

    def _own_feedback(self, record: Record) -> Feedback | None:
        """Returns the feedback if it belongs to this lane, else None.

        `personalise` forwards misplaced feedback and dead-letters unreadable feedback: both are only counted here.
        """
        try:
            feedback = codec.decode(Feedback, record.value)
        except codec.Malformed as error:
            self._count("learn_ignored", FEEDBACK, error.reason)
            return None
        if self._config.partition_of(feedback.user_id.encode()) != record.partition:
            self._count("learn_ignored", FEEDBACK, "misplaced")
            return None
        return feedback

    def _event(self, record: Record) -> None:
        """Learns from orders, refunds and cancellations only.

        Unusable events are only counted here; `personalise` dead-letters those that it cannot use either.
        """
        if record.value is None or not validation.may_be_order(record.value):
            return
        try:
            event = validation.order_event(record.key, record.value, self._clock.read_at_s(record))
            if event is None:
                return
            self._clock.saw_order(event.timestamp.timestamp())
            problem = joins.take_order(self._memory.of(event.customer_id), event)
        except InvalidEvent as error:
            problem = error.reason
        if problem:
            self._count("learn_ignored", EVENTS, problem)

    # -- time --------------------------------------------------------------------------------------------------------

    def _run_timers(self) -> None:
        """Ends waits, seals exposures and drops orders that are due. Runs only when there is no backlog."""
        now_s, limit = self._clock.timers_s, self._config.timers_per_batch
        due = self._memory.due(now_s, limit)
        self._effects.more_due = len(due) == limit
        if due:
            self._state = msgspec.structs.replace(self._state, sealed_until=max(now_s, self._state.sealed_until))
        for customer_id in due:
            customer = self._memory.of(customer_id)
            self._stop_waiting(customer, now_s)
            while customer.exposures and (first := first_exposure(customer)).sealed_at <= now_s:
                self._seal(customer, first)
            for _ in range(self._memory.prune(customer, now_s)):
                self._count("learn_ignored", EVENTS, "refund_of_no_order")
        self._memory.forget_messages(now_s, limit)
        if now_s >= self._rows_checked_at_s + _HOUR_S and not self._effects.more_due:  # sealing still counts in the row
            self._rows_checked_at_s = now_s
            kept_s = REMEMBER_S + self._learning.attribution_s + self._grace_s + self._learning.metrics_window_s
            self._sums.forget_rows(round((now_s - kept_s - 86_400.0) * 1000))

    def _stop_waiting(self, customer: Customer, now_s: float) -> None:
        for digest in [digest for digest, waiting in customer.waiting.items() if waiting.until <= now_s]:
            message = self._memory.message(customer.waiting.pop(digest).message_id)
            if message is None:
                self._settle(customer, digest, "unknown_message")
            else:
                self._misplaced(customer, digest, message)
        for decision_id in [decision_id for decision_id, ended in customer.ended.items() if ended.until <= now_s]:
            del customer.ended[decision_id]
            self._count("learn_ignored", OUTCOMES, "unknown_decision")

    def _misplaced(self, customer: Customer, digest: int, message: MessageLocation) -> None:
        """Settles feedback about a known message that is not among this customer's open ones."""
        reason = "expired" if message.customer_id == customer.customer_id else "wrong_customer"
        self._settle(customer, digest, reason)
        self._ignored.append((message.row_key, reason))

    def _settle(self, customer: Customer, digest: int, reason: str) -> None:
        """Records that feedback counts nowhere; its duplicates are recognised for as long as an order is kept."""
        customer.settled[digest] = self._clock.timers_s + self._learning.attribution_s + self._grace_s
        model.forget_first(customer.settled, model.MAX_SETTLED)
        self._count("feedback_ignored", reason)

    # -- sums --------------------------------------------------------------------------------------------------------

    def _recount(self, customer: Customer) -> None:
        """Recomputes from the facts what the customer's exposures add to the sums, and replaces their previous contributions."""
        for decision_id, contribution in contributions(customer).items():
            self._sums.move(customer.exposures[decision_id], contribution, self._effects.tally)
        while len(customer.exposures) > model.MAX_EXPOSURES:  # more than any customer should get: sealed early
            first = first_exposure(customer)
            customer.settled[event_hash(first.decision_id)] = first.sealed_at
            self._seal(customer, first)

    def _seal(self, customer: Customer, first: Exposure) -> None:
        """Seals the customer's earliest exposure; the first of a period also counts the customer for the uplift."""
        if joins.compare(customer, first):
            self._sums.compare(first)
        del customer.exposures[first.decision_id]

    def _publish_sums(self, *, idle: bool) -> None:
        if not self._clock.snapshot_due(self._state.told_at + self._config.snapshot_interval_s, idle=idle):
            return
        outputs = self._sums.publish(self._state.partition, self._clock.now_s)
        if outputs:
            self._effects.outputs.extend(outputs)
            self._state = msgspec.structs.replace(self._state, told_at=self._clock.now_s)

    def _finish(self, before: LaneState) -> None:
        effects = self._effects
        puts, added, removed = self._memory.finish()
        dirtied, cleaned = self._sums.index_changes()
        effects.puts = [*puts, *self._sums.puts(self._clock.now_s)]
        effects.index_puts, effects.index_deletes = [*added, *dirtied], [*removed, *cleaned]
        if self._state != before:
            effects.puts.append((keys.LANE, msgspec.msgpack.encode(self._state)))
        effects.clock_s = self._clock.now_s

    def _count(self, metric: CounterName, *labels: str) -> None:
        self._effects.tally[metric, *labels] += 1
