"""Decides what happens to a due message. Single-threaded: nothing is read from Kafka during a channel call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, assert_never

import msgspec

from schemas.messages import FeedbackStatus, Message
from workers.delivery.feedback import feedback
from workers.delivery.ledger import Entry, Ledger
from workers.delivery.ports import AddressBook, Bounced, Channel, Failed, Later, NoAddress, Result, Sent, Unknown
from workers.delivery.token_bucket import TokenBucket

log = logging.getLogger(__name__)

_MAX_BACKOFF_S = 900.0
#: Upper limit on Retry-After: an error page in front of the service may ask for a day [s].
_MAX_RETRY_AFTER_S = 3600.0


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Delivery rules. `resend`: a message that may already have been sent is sent again; otherwise it is reported as failed.

    `backoff_s` doubles with each attempt, up to 15 minutes. `rate_per_s`: limit of this process, None = no limit.
    `ignore_times`: nothing expires (replays).
    """

    resend: bool
    backoff_s: float = 30.0
    rate_per_s: float | None = None
    ignore_times: bool = False


class Delivery:
    """Ends every message in the ledger with exactly one status, or postpones it."""

    def __init__(
        self,
        ledger: Ledger,
        addresses: AddressBook,
        channel: Channel,
        rules: Rules,
        clock: Callable[[], datetime],
        on_status: Callable[[str], None] = lambda status: None,
    ) -> None:
        """`on_status` is called with the status of each message that ends, and with `later` for each that is postponed."""
        self._ledger = ledger
        self._addresses = addresses
        self._channel = channel
        self._rules = rules
        self._clock = clock
        self._on_status = on_status
        self._bucket = None if rules.rate_per_s is None else TokenBucket(rules.rate_per_s)
        self._paused_until_s = 0.0

    def step(self, lanes: Collection[str]) -> bool:
        """Processes one message: one that a crash interrupted, otherwise the one that has been due longest.

        False = no message is due, the server needs a pause, or the rate limit is reached.
        """
        now = self._clock()
        if interrupted := self._ledger.interrupted(lanes):
            self._conclude(interrupted, Unknown("the process ended while sending"), now)
            return True
        if now.timestamp() < self._paused_until_s:
            return False
        entry = self._ledger.due(lanes, now.timestamp())
        if entry is None:
            return False
        message = entry.message
        if entry.cancelled:
            self._end(entry, "skipped", now, abort_type="stale", abort_log="cancelled")
        elif now >= message.expires_at and not self._rules.ignore_times:
            self._end(entry, "skipped", now, abort_type="expired", abort_log=f"attempts: {entry.attempts}")
        elif (address := self._addresses.address(message.user_id, message.channel)) is None:
            self._end(entry, "dropped", now, abort_type="missing_identifier")
        elif self._bucket is not None and not self._bucket.take(now.timestamp()):
            return False
        else:
            self._ledger.start(entry.key, now.timestamp())
            result = self._channel.send(message, address, now)
            self._conclude(msgspec.structs.replace(entry, attempts=entry.attempts + 1), result, self._clock())
        return True

    def _conclude(self, entry: Entry, result: Result, now: datetime) -> None:
        match result:
            case Sent():
                self._end(entry, "sent", now)
            case Bounced(reason, bounce_type):
                self._end(entry, "bounced", now, bounce_type=bounce_type, bounce_reason=reason)
            case NoAddress():
                self._end(entry, "dropped", now, abort_type="missing_identifier", abort_log="not an address")
            case Failed(reason):
                self._end(entry, "failed", now, abort_log=reason)
            case Later():
                self._postpone(entry, result, now)
            case Unknown(reason) if self._rules.resend:
                self._postpone(entry, Later(reason), now)
            case Unknown(reason):
                self._end(entry, "failed", now, abort_log=f"may have left: {reason}")
            case _:
                assert_never(result)

    def _postpone(self, entry: Entry, later: Later, now: datetime) -> None:
        """Schedules the next attempt, no later than the message's expiry, so that the expiry is reported on time."""
        requested_s = min(later.after_s or 0.0, _MAX_RETRY_AFTER_S)
        wait_s = requested_s or min(self._rules.backoff_s * 2 ** (entry.attempts - 1), _MAX_BACKOFF_S)
        due_s = now.timestamp() + wait_s
        if later.everyone:
            self._paused_until_s = now.timestamp() + (requested_s or self._rules.backoff_s)
        self._ledger.postpone(entry.key, self._before_expiry(entry.message, due_s), now.timestamp())
        self._on_status("later")
        log.warning("message %s: postponed (%s)", entry.message.message_id, later.reason)

    def _before_expiry(self, message: Message, due_s: float) -> float:
        return due_s if self._rules.ignore_times else min(due_s, message.expires_at.timestamp())

    def _end(self, entry: Entry, status: FeedbackStatus, now: datetime, **details: Any) -> None:
        self._ledger.end(entry.key, feedback(entry.message, status, now, **details), now.timestamp())
        self._on_status(status)
        log.info("message %s: %s", entry.message.message_id, status)
