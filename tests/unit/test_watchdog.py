"""A process that hangs is ended; one that was stopped and goes on, or waits for good reasons, is not."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.waiting import wait_until
from workers.adapters.process.exit_codes import Exit
from workers.adapters.process.liveness import ASSIGNMENT, Liveness
from workers.adapters.process.watchdog import Watchdog

ROOT = Path(__file__).resolve().parents[2]
LOOP_S, STALL_S, STOP_S = 15.0, 60.0, 25.0


class Watched:
    """A watchdog that is looked after by the test's clock; `codes` are the ends it wanted."""

    def __init__(self) -> None:
        self.liveness = Liveness()
        self.codes: list[int] = []
        self.watchdog = Watchdog(
            self.liveness,
            loop_limit_s=LOOP_S,
            stall_limit_s=STALL_S,
            stop_limit_s=STOP_S,
            end_process=self.codes.append,
        )

    def for_s(self, seconds: int) -> list[int]:
        for _ in range(seconds):
            if self.codes:
                break
            self.watchdog.check(1.0)
        return self.codes


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that does not run: it never answers."""
    made = asyncio.new_event_loop()
    yield made
    made.close()


def test_nothing_that_works_is_nothing_that_hangs(watched: Watched) -> None:
    assert watched.for_s(1000) == []


def test_a_working_part_that_does_not_move_ends_the_process(watched: Watched) -> None:
    watched.liveness.working("lane 2")
    assert watched.for_s(59) == []
    assert watched.for_s(3) == [Exit.STALLED]


def test_a_part_that_beats_lives_and_one_that_is_idle_is_not_expected_to(watched: Watched) -> None:
    watched.liveness.working("lane 1")
    watched.liveness.working("lane 2")
    for _ in range(10):
        watched.liveness.beat("lane 1")
        watched.liveness.beat("lane 2")
        assert watched.for_s(50) == []
    watched.liveness.idle("lane 1")
    watched.liveness.idle("lane 2", "waits for the group")
    assert watched.for_s(1000) == []


def test_work_that_comes_and_goes_between_two_looks_is_not_a_stall(watched: Watched) -> None:
    for _ in range(200):
        watched.liveness.working("requests of partition 0")
        assert watched.for_s(1) == []
        watched.liveness.idle("requests of partition 0")


def test_saying_again_that_it_works_is_no_beat(watched: Watched) -> None:
    for _ in range(70):
        watched.liveness.working("lane 2", "340,000 of 1,000,000 records")
        watched.for_s(1)
    assert watched.codes == [Exit.STALLED]


def test_a_late_word_of_a_closed_part_brings_it_not_back(watched: Watched) -> None:
    watched.liveness.working("lane 2")
    watched.liveness.idle("lane 2")
    watched.liveness.beat("lane 2")
    assert watched.liveness.beats == {}


def test_a_loop_that_does_not_answer_ends_the_process(
    watched: Watched, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched.watchdog, "_run", lambda: None)
    watched.watchdog.watch(loop)
    assert watched.for_s(14) == []
    assert watched.liveness.silent_s == 13.0
    assert watched.for_s(4) == [Exit.STALLED]


def test_a_process_that_was_stopped_has_its_full_limits_again(
    watched: Watched, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched.watchdog, "_run", lambda: None)
    watched.watchdog.watch(loop)
    watched.liveness.working("lane 2")
    watched.watchdog.check(1.0)
    watched.watchdog.check(3600.0)  # stopped for an hour, of which it slept one tick
    assert watched.codes == []
    assert watched.for_s(10) == []
    assert watched.for_s(5) == [Exit.STALLED], "awake it must answer as ever"


def test_a_stop_has_its_own_limit_and_no_other(watched: Watched) -> None:
    watched.liveness.working("lane 2")
    watched.for_s(50)
    watched.watchdog.stopping()
    assert watched.for_s(20) == []
    watched.watchdog.stopping()
    assert watched.for_s(6) == [Exit.NOT_STOPPED]


def test_a_loop_that_runs_answers_every_look(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched.watchdog, "_run", lambda: None)

    async def main() -> None:
        watched.watchdog.watch(asyncio.get_running_loop())
        for _ in range(100):
            assert watched.for_s(1) == []
            assert watched.liveness.silent_s == 0.0
            await asyncio.sleep(0)

    asyncio.run(main())


def test_the_thread_looks_again_and_again_at_a_loop_that_runs() -> None:
    liveness, codes, looks = Liveness(), list[int](), 0
    loops: list[asyncio.AbstractEventLoop] = []

    class Counting(Watchdog):
        def check(self, elapsed_s: float) -> None:
            nonlocal looks
            super().check(elapsed_s)
            looks += 1
            if looks == 10:
                loops[0].call_soon_threadsafe(enough.set)

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        watchdog.watch(loops[0])
        await enough.wait()

    # Nothing works, so nothing stalls: the short limit only makes it look often.
    watchdog = Counting(liveness, loop_limit_s=600.0, stall_limit_s=0.1, stop_limit_s=600.0, end_process=codes.append)
    enough = asyncio.Event()
    asyncio.run(main())
    watchdog.close()
    assert codes == []


HANGING = """
import asyncio, logging, sys, threading, time
from workers.adapters.process.liveness import Liveness
from workers.adapters.process.watchdog import Watchdog
logging.basicConfig(format="%(levelname)s %(message)s")
kind = sys.argv[1]
async def main():
    liveness = Liveness()
    watchdog = Watchdog(liveness, loop_limit_s=0.5, stall_limit_s=0.5, stop_limit_s=0.5)
    watchdog.watch(asyncio.get_running_loop())
    if kind == "mute":  # nobody reads the log, and it is locked
        logging.getLogger().handlers[0].acquire()
    if kind in ("sleep", "mute"):
        time.sleep(60)
    if kind == "spin":
        while True: pass
    if kind == "lane":
        liveness.working("lane 2")
    if kind == "stop":
        watchdog.stopping()
    await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "code", "why"),
    [
        ("sleep", Exit.STALLED, "the event loop has not answered"),
        ("spin", Exit.STALLED, "the event loop has not answered"),
        ("lane", Exit.STALLED, "lane 2 has not moved"),
        ("stop", Exit.NOT_STOPPED, "it has not stopped within 0.5 s"),
        ("mute", Exit.STALLED, ""),
    ],
)
def test_a_real_process_ends_with_its_code_one_line_and_the_stacks(kind: str, code: int, why: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANGING, kind], cwd=ROOT, capture_output=True, text=True, timeout=40, check=False
    )
    assert done.returncode == code
    critical = [line for line in done.stderr.splitlines() if line.startswith("CRITICAL")]
    assert len(critical) == (1 if why else 0)
    if why:
        assert why in critical[0]
        assert "Thread 0x" in done.stderr
        assert "Task main (<string>:" in done.stderr
        assert "in main" in done.stderr or kind in ("lane", "stop")


def test_readiness_names_what_is_awaited() -> None:
    liveness = Liveness()
    assert liveness.waiting == [f"{ASSIGNMENT}: not assigned yet"]
    liveness.awaits(ASSIGNMENT, "")
    liveness.working("lane 2", "340,000 of 1,000,000 records")
    assert liveness.waiting == ["lane 2: 340,000 of 1,000,000 records"]
    liveness.working("lane 2")
    assert liveness.waiting == []
    liveness.idle("lane 2", "waits for the group")
    assert liveness.waiting == ["lane 2: waits for the group"]


def test_threads_may_speak_all_at_once(watched: Watched) -> None:
    started, names = threading.Event(), [f"lane {number}" for number in range(8)]

    def chatter(name: str) -> None:
        started.wait()
        for _ in range(2000):
            watched.liveness.working(name, "opening")
            watched.liveness.beat(name)
            watched.liveness.idle(name)

    threads = [threading.Thread(target=chatter, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    started.set()
    wait_until(lambda: watched.for_s(1) or not any(map(threading.Thread.is_alive, threads)), 60, "all have spoken")
    assert watched.codes == []
    assert watched.liveness.beats == {}
