"""Runs one channel's sender: the loop over inbox, dispatch and feedback. Single-threaded: SQLite ties the ledger to a thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec

from schemas.topics import message_topic
from workers.delivery.dispatch import Delivery, Rules
from workers.delivery.feedback import FeedbackPublisher
from workers.delivery.inbox import Inbox
from workers.delivery.ledger import Ledger
from workers.delivery.ports import AddressBook, Channel

#: How long an idle step waits for records [s].
_IDLE_S = 0.2
#: Interval at which old keys are deleted from the ledger [s].
_PURGE_INTERVAL_S = 3600.0


#: The topic that every sender reads in addition to its messages, and the one that it writes.
CANCELLATIONS, FEEDBACK = "message.cancellations", "message.feedback"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Configuration of one sender. `prefix` is prepended to the topics and the group.

    `instance`: its name in the group, the same after a restart ("" = a new member each time). `ledger`: a file shared by all
    processes of the group. `keep_s`: time for which keys are kept; must exceed Kafka's retention.
    """

    channel: str
    prefix: str
    group: str
    instance: str
    ledger: str
    rules: Rules
    keep_s: float = 14 * 86_400.0


class Sender:
    """Ends every message of its partitions with exactly one status. `on_status` is called with each status, and with `later`."""

    def __init__(
        self,
        plan: Plan,
        kafka: Mapping[str, str | int],
        channel: Channel,
        addresses: AddressBook,
        clock: Callable[[], datetime],
        on_status: Callable[[str], None] = lambda status: None,
    ) -> None:
        """`kafka`: librdkafka settings for reaching the brokers."""
        self._plan = plan
        self._clock = clock
        self._channel = channel
        self._ledger = Ledger(plan.ledger)
        self._delivery = Delivery(self._ledger, addresses, channel, plan.rules, clock, on_status)
        self._publisher = FeedbackPublisher(kafka, plan.prefix + FEEDBACK, self._ledger)
        self._inbox = Inbox(
            kafka,
            (plan.prefix + plan.group, plan.instance),
            plan.channel,
            (plan.prefix + message_topic(plan.channel), plan.prefix + CANCELLATIONS),
            self._ledger,
            clock,
            ignore_times=plan.rules.ignore_times,
        )
        self._busy = False
        self._purged_at_s = 0.0

    @property
    def awaits(self) -> str:
        """The reason why the sender cannot work yet; empty = it is working."""
        return self._inbox.awaits

    def late_s(self) -> float:
        """Returns how long the longest-due message has been due [s]; 0 = none is due."""
        return self._ledger.late_s(self._inbox.lanes, self._clock().timestamp())

    def step(self) -> None:
        """Reads new records, processes at most one message, publishes feedback. Waits briefly if there was nothing to do."""
        self._inbox.read(0.0 if self._busy else _IDLE_S)
        self._busy = self._inbox.caught_up and self._delivery.step(self._inbox.lanes)
        self._publisher.publish(self._inbox.lanes)
        if self._inbox.caught_up:
            self._inbox.commit()
        now_s = self._clock().timestamp()
        if now_s - self._purged_at_s > _PURGE_INTERVAL_S:
            self._ledger.purge(now_s - self._plan.keep_s)
            self._purged_at_s = now_s

    def close(self) -> None:
        """Publishes remaining feedback, commits, leaves the group."""
        self._publisher.publish(self._inbox.lanes)
        self._inbox.close()
        self._channel.close()
        self._ledger.close()
