"""Named places where a test can make the process die, freeze or lose its protection.

They are inert unless `arm` is called, which a worker does at its start with the value of ATTUNE_FAILPOINTS.

    ATTUNE_FAILPOINTS=lane.before_commit=3        the third hit ends the process hard (no clean-up, exit code 99)
    ATTUNE_FAILPOINTS=lane.half_produced=2:stop   the second hit freezes it (SIGSTOP) until it receives SIGCONT
    ATTUNE_FAILPOINTS=restore.chunk=1:slow        from the first hit on, each takes half a second
    ATTUNE_FAILPOINTS=unsafe.producer             writes without transactions: proves that a test can fail
    ATTUNE_FAILPOINTS=clock.jump=7                the wall clock is a month ahead in the seventh turn of a lane
    ATTUNE_FAILPOINTS=core.poison                 records with the word POISON in them make the code raise

Several are separated by commas. No setting can arm them, and an unknown name prevents the start: a test with it would prove
nothing.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Producer

from workers.adapters.process.termination import end_at_once
from workers.core.errors import Misconfigured
from workers.core.stream.records import Record

log = logging.getLogger(__name__)

EXIT_CODE = 99
_SLOW_S = 0.5
#: The places, in the order in which a lane passes them.
PLACES = (
    "restore.half",  # half of the changelog is in the local state
    "lane.parse",  # records are in memory, nothing is decoded
    "lane.fold",  # memory is ahead of everything that has been written
    "lane.before_produce",  # a transaction is open and empty
    "lane.half_produced",  # the changed customers are on the broker, without marker and outputs
    "lane.produced",  # all records are on the broker, uncommitted
    "lane.before_commit",
    "lane.after_commit",
    "lane.before_local_write",
    "lane.after_local_write",
)
UNSAFE_PRODUCER, UNSAFE_READERS, UNSAFE_ISOLATION = "unsafe.producer", "unsafe.readers", "unsafe.isolation"
UNSAFE_LEDGER, UNSAFE_BATCHES, UNSAFE_DOUBT = "unsafe.ledger", "unsafe.batches", "unsafe.doubt"
UNSAFE_TOPICS, UNSAFE_PAST, UNSAFE_BACKLOG = "unsafe.topics", "unsafe.past", "unsafe.backlog"
UNSAFE_END, UNSAFE_INTAKE = "unsafe.end", "unsafe.intake"
UNSAFE_CLOCK, UNSAFE_SOURCES, UNSAFE_DEFERRED = "unsafe.clock", "unsafe.sources", "unsafe.deferred"
_JUMP = "clock.jump"  # the wall clock of this one turn of a lane is a month ahead
_POISON = "core.poison"
_CHUNK = "restore.chunk"  # a chunk of the changelog is in the local state; used to slow down a restore
_UNSAFE = (
    *(UNSAFE_PRODUCER, UNSAFE_READERS, UNSAFE_ISOLATION, UNSAFE_LEDGER, UNSAFE_BATCHES),
    *(UNSAFE_DOUBT, UNSAFE_TOPICS, UNSAFE_PAST, UNSAFE_BACKLOG),
    *(UNSAFE_END, UNSAFE_INTAKE, UNSAFE_CLOCK, UNSAFE_SOURCES, UNSAFE_DEFERRED),
)
_NAMES: tuple[str, ...] = (*PLACES, _CHUNK, *_UNSAFE, _JUMP, _POISON)


def _parse(text: str) -> dict[str, tuple[int, str]]:
    """Returns name → (the hit that counts, the action)."""
    found: dict[str, tuple[int, str]] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, _, rest = part.partition("=")
        number, _, action = rest.partition(":")
        if name not in _NAMES or action not in ("", "stop", "slow"):
            raise Misconfigured(
                f"ATTUNE_FAILPOINTS: {part!r} is not a failpoint.",
                f"NAME=N, NAME=N:stop or NAME=N:slow, with a NAME of {', '.join(PLACES)}",
            )
        found[name] = int(number or 1), action
    return found


_armed: dict[str, tuple[int, str]] = {}
_hits: Counter[str] = Counter()
_suspended = threading.local()
#: How far a clock jumps ahead [s].
_JUMP_S = 30 * 86_400.0


def arm(text: str) -> None:
    """Arms the failpoints in `text`, and disarms all others. Raises Misconfigured naming an unknown one."""
    found = _parse(text)
    _armed.clear()
    _armed.update(found)
    _hits.clear()


@contextmanager
def while_armed(text: str) -> Iterator[None]:
    """Arms failpoints inside the block."""
    before = dict(_armed)
    arm(text)
    try:
        yield
    finally:
        _armed.clear()
        _armed.update(before)


def armed() -> bool:
    """Returns whether any failpoint is armed."""
    return bool(_armed)


def hit(name: str, first: Callable[[], object] | None = None) -> None:
    """Dies, freezes or pauses here if this failpoint is armed and this is the hit that counts; calls `first` just before."""
    if name not in _armed or getattr(_suspended, "here", False):
        return
    _hits[name] += 1
    number, action = _armed[name]
    if _hits[name] < number or (action == "stop" and _hits[name] > number):
        return
    if first is not None:
        first()
    if action == "slow":
        time.sleep(_SLOW_S)
    elif action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    else:
        end_at_once(EXIT_CODE)


@contextmanager
def suspended() -> Iterator[None]:
    """Ignores the failpoints that this thread passes inside the block, where it writes something other than a batch."""
    _suspended.here = True
    try:
        yield
    finally:
        _suspended.here = False


def wall_s(now_s: float) -> float:
    """Returns the wall clock as it is, or a month ahead in the one turn in which a test makes it jump."""
    if _JUMP not in _armed:
        return now_s
    _hits[_JUMP] += 1
    if _hits[_JUMP] != _armed[_JUMP][0]:
        return now_s
    log.critical("ATTUNE_FAILPOINTS=%s: the clock jumps once. For tests only.", _JUMP)
    return now_s + _JUMP_S


def checks_broker_time() -> bool:
    """Returns whether the broker's clock bounds a lane's; true unless a test has switched that off."""
    return UNSAFE_CLOCK not in _armed


def checks_sources() -> bool:
    """Returns whether a recreated source is distinguished from the old one; true unless a test has switched that off."""
    return UNSAFE_SOURCES not in _armed


def waits_for_intake() -> bool:
    """Returns whether timers wait for events that intake has not mapped yet; true unless a test has switched that off."""
    return UNSAFE_INTAKE not in _armed


def stops_at_deferred() -> bool:
    """Returns whether a batch is committed only up to its first deferred record; true unless a test has switched that off."""
    return UNSAFE_DEFERRED not in _armed


def poison(records: list[Record]) -> None:
    """Raises ValueError for a batch with a poisoned record, if this failpoint is armed."""
    if _POISON in _armed and any(b"POISON" in (record.value or b"") for record in records):
        raise ValueError("POISON")


def isolates() -> bool:
    """Returns whether a record that raises becomes a dead letter; true unless a test has switched that off."""
    return UNSAFE_ISOLATION not in _armed


def reads_ledger() -> bool:
    """Returns whether a lane that lost its state reads its ledger; true unless a test has switched that off."""
    return UNSAFE_LEDGER not in _armed


def renews_epoch() -> bool:
    """Returns whether a commit in doubt (maybe requested twice) begins a new epoch; true unless a test has switched it off."""
    return UNSAFE_DOUBT not in _armed


def checks_past() -> bool:
    """Returns whether a lane without state checks that it never had any; true unless a test has switched that off."""
    return UNSAFE_PAST not in _armed


def watches_topics() -> bool:
    """Returns whether a follower checks that its topics are still the same; true unless a test has switched that off."""
    return UNSAFE_TOPICS not in _armed


def reads_any_batch() -> bool:
    """Returns whether batches that aiokafka cannot read are read by our own code; true unless a test has switched that off."""
    return UNSAFE_BATCHES not in _armed


def waits_for_backlog() -> bool:
    """Returns whether due items wait until a backlog is applied; true unless a test has switched that off."""
    return UNSAFE_BACKLOG not in _armed


def end_of(highwater: int, stable: int | None) -> int:
    """Returns the end of a partition: its high watermark, or the last stable offset if a test excludes open transactions."""
    return highwater if UNSAFE_END not in _armed or stable is None else stable


def isolation_level() -> str:
    """Returns the isolation level of our readers: `read_committed`, unless a test has switched that off."""
    if UNSAFE_READERS not in _armed:
        return "read_committed"
    log.critical("ATTUNE_FAILPOINTS=%s: this worker reads uncommitted records. For tests only.", UNSAFE_READERS)
    return "read_uncommitted"


def make_producer(config: dict[str, str | int]) -> Producer:
    """Returns a transactional producer, unless a test has switched transactions off."""
    if UNSAFE_PRODUCER not in _armed:
        return Producer(config)
    log.critical("ATTUNE_FAILPOINTS=%s: this worker writes WITHOUT transactions. For tests only.", UNSAFE_PRODUCER)
    return _Unprotected({name: value for name, value in config.items() if not name.startswith("transaction")})


class _Unprotected(Producer):
    """Sends records at once that a transaction would hold back, and is never fenced."""

    def init_transactions(self, *_: Any) -> None:
        """Fences no one."""

    def begin_transaction(self) -> None:
        """Does nothing."""

    def send_offsets_to_transaction(self, *_: Any) -> None:
        """Commits no offsets: only lanes with a changelog can run without protection."""

    def commit_transaction(self, *_: Any) -> None:
        """Waits for delivery."""
        self.flush(30)

    def abort_transaction(self, *_: Any) -> None:
        """Undoes nothing."""
