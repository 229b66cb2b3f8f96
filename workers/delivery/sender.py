"""One channel's sender: the loop over intake, delivery and feedback. One thread; the ledger belongs to the one that made it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec

from schemas.topics import message_topic
from workers.delivery.dispatch import Delivery, Rules
from workers.delivery.feedback import FeedbackPublisher
from workers.delivery.inbox import Intake
from workers.delivery.ledger import Ledger
from workers.delivery.ports import AddressBook, Channel

#: So long a step waits for records when there is nothing to do [s].
_IDLE_S = 0.2
_PURGE_EVERY_S = 3600.0


#: What every sender reads beside its messages, and what it writes.
CANCELLATIONS, FEEDBACK = "message.cancellations", "message.feedback"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What one sender is. `prefix` stands before the topics and the group.

    `instance`: its name in the group, the same after a restart ("" = a new member each time). `ledger`: a file that all
    processes of the group share. `keep_s`: keys are remembered so long, longer than Kafka keeps records.
    """

    channel: str
    prefix: str
    group: str
    instance: str
    ledger: str
    rules: Rules
    keep_s: float = 14 * 86_400.0


class Sender:
    """Ends every message of its partitions in exactly one status. `told` hears each status, and `later`."""

    def __init__(
        self,
        plan: Plan,
        kafka: Mapping[str, str | int],
        channel: Channel,
        addresses: AddressBook,
        clock: Callable[[], datetime],
        told: Callable[[str], None] = lambda status: None,
    ) -> None:
        """`kafka`: settings of librdkafka that reach the brokers."""
        self._plan = plan
        self._clock = clock
        self._channel = channel
        self._ledger = Ledger(plan.ledger)
        self._delivery = Delivery(self._ledger, addresses, channel, plan.rules, clock, told)
        self._publisher = FeedbackPublisher(kafka, plan.prefix + FEEDBACK, self._ledger)
        self._intake = Intake(
            kafka,
            (plan.prefix + plan.group, plan.instance),
            plan.channel,
            (plan.prefix + message_topic(plan.channel), plan.prefix + CANCELLATIONS),
            self._ledger,
            clock,
            ignore_times=plan.rules.ignore_times,
        )
        self._busy = False
        self._purged_s = 0.0

    @property
    def awaits(self) -> str:
        """What it cannot work without; empty = it does its share."""
        return self._intake.awaits

    def late_s(self) -> float:
        """For how long the message that is due longest has been due; 0 = none is."""
        return self._ledger.late_s(self._intake.lanes, self._clock().timestamp())

    def step(self) -> None:
        """Reads what has come, deals with at most one message, reports. Waits a little when there was nothing to do."""
        self._intake.read(0.0 if self._busy else _IDLE_S)
        self._busy = self._intake.caught_up and self._delivery.step(self._intake.lanes)
        self._publisher.publish(self._intake.lanes)
        if self._intake.caught_up:
            self._intake.commit()
        now_s = self._clock().timestamp()
        if now_s - self._purged_s > _PURGE_EVERY_S:
            self._ledger.purge(now_s - self._plan.keep_s)
            self._purged_s = now_s

    def close(self) -> None:
        """Reports what is left to report, commits, leaves the group."""
        self._publisher.publish(self._intake.lanes)
        self._intake.close()
        self._channel.close()
        self._ledger.close()
