"""Memory over time: with the same customers, a worker that has worked for long needs no more than one that has worked a while."""

from __future__ import annotations

import pytest

from benchmarks.processes import rss_mb
from tests.faults.table import Cases
from tests.support.faults import FULL, Follower, Shop, log_of
from tests.support.service import clean_row
from tests.support.waiting import wait_until
from tests.support.workers import ROOT, prepare, produce, worker
from workers.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(2400 if FULL else 240)]

#: Each part is 28 (3) hours of these customers. Ids of events are remembered for a week: so long profiles grow.
PARTS, EACH = (40, 100_000) if FULL else (10, 10_000)
CUSTOMERS = 5_000 if FULL else 500
#: The second half of the time may add this much: allocators keep what was freed in pieces. The short form is over before
#: the caches are full, and finds only what grows with every event [MB].
SPREAD_MB = 32.0 if FULL else 80.0


def test_a_long_run_over_the_same_customers_takes_no_more_memory_than_its_first_half(
    settings: Settings, cases: Cases
) -> None:
    running = prepare(settings.changed(playbook=str(ROOT / "playbooks" / "rees46")))
    shop, resident_mb = Shop(CUSTOMERS), []
    with Follower(running) as follower:
        with worker("personalise", running) as process:

            def done() -> bool:
                assert process.poll() is None, log_of(running)[-2000:]
                return follower.applied() >= shop.made

            for _ in range(PARTS):
                produce(running, "customer.events", list(shop.events(EACH)))
                wait_until(done, 120, f"{shop.made} events applied")
                resident_mb.append(rss_mb(process.pid))
            process.terminate()
            assert process.wait(40) == 0
        middle, end = max(resident_mb[: PARTS // 2]), max(resident_mb[PARTS // 2 :])
        assert end <= middle + SPREAD_MB, f"MB after each part: {[round(mb) for mb in resident_mb]}"
        injected = f"{shop.made:,} events of {CUSTOMERS:,} customers; {middle:.0f} MB in the first half, {end:.0f} in the second"
        row = clean_row(running, follower, shop, "a long run", injected)
    cases.passed("90-soak", row)
