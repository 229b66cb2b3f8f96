"""A worker under its supervisor, as `attune up` runs it: what a shop sees of it while something breaks."""

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
    """The role runs inside the block, and is started again when it ends."""
    running = Role(role, settings)
    running.start()
    try:
        yield running
    finally:
        running.request_stop()
        running.wait(40)


def wait_applied(role: Role, follower: Follower, events: int, timeout_s: float = 120) -> None:
    """Until so many events are applied in all."""

    def done() -> bool:
        role.poll()
        return follower.applied() >= events

    wait_until(done, timeout_s, f"{events} events applied; the worker's log is {role.log}")


def recovery_s(role: Role, follower: Follower, events: int, timeout_s: float = 120) -> float:
    """How long it takes from now until so many events are applied in all [s]: everything that was sent by now, say."""
    began_s = time.monotonic()
    wait_applied(role, follower, events, timeout_s)
    return time.monotonic() - began_s


def rss_mb(pid: int) -> float:
    """The most memory that a process has had at once."""
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
    """The row of a case all of whose events, and `more` records that are no new events, should be applied; fails with what
    is wrong.
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
