"""Runs a worker under its supervisor like `attune up`, to observe it from outside during faults."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.table import Row
from tests.support.faults import Follower, Shop, differences, repeated
from tests.support.waiting import wait_until
from workers.local.supervisor import Role
from workers.settings import Settings


@contextmanager
def supervised(settings: Settings, role: str = "personalise") -> Iterator[Role]:
    """Runs the role inside the block; it is restarted when it exits."""
    running = Role(role, settings)
    running.start()
    try:
        yield running
    finally:
        running.request_stop()
        running.wait(40)


def wait_applied(role: Role, follower: Follower, events: int, timeout_s: float = 120) -> None:
    """Waits until a total number of events is applied."""

    def done() -> bool:
        role.poll()
        return follower.applied() >= events

    wait_until(done, timeout_s, f"{events} events applied; the worker's log is {role.log}")


def recovery_s(role: Role, follower: Follower, events: int, timeout_s: float = 120) -> float:
    """Returns the time from now until a total number of events is applied [s]."""
    began_s = time.monotonic()
    wait_applied(role, follower, events, timeout_s)
    return time.monotonic() - began_s


def rss_mb(pid: int) -> float:
    """Returns the peak resident memory of a process [MB]."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def clean_row(
    settings: Settings,
    follower: Follower,
    shop: Shop,
    case: str,
    injected: str,
    recovered_s: float | None = None,
    *,
    more: int = 0,
) -> Row:
    """Returns the row of a case after checking that all events, and `more` records that are not new events, are applied exactly
    once; otherwise fails the test.
    """
    lost, wrong = shop.made + more - follower.applied(), differences(follower.profiles(), shop)
    twice = repeated(settings)
    assert (lost, wrong, twice) == (0, [], {})
    assert follower.regressions == 0, "no batch is committed twice"
    return Row(
        case=case,
        injected=injected,
        lost=lost,
        duplicated=sum(twice.values()),
        differences=len(wrong),
        recovery_s=recovered_s,
    )
