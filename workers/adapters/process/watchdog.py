"""Ends a process that hangs, so that another takes over its partitions, and measures the loop's silence for probes.

Time here is *awake time*: the sum of the watchdog's own ticks, each counted as at most two tick intervals. If a process is
suspended (SIGSTOP, a sleeping machine, a throttled container), so is its watchdog; once resumed, it has its full limits again,
however far every clock has moved. It is not killed for that, and need not be: its pending writes are in a transaction that its
successor has fenced, and of the candidates that `generate` writes only one per request is taken.

The watchdog cannot detect a call into C that holds Python's GIL: no Python thread runs during it. In this case probes get no
answer either, and the group reassigns the partitions after the session timeout.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import logging
import sys
import threading
from collections.abc import Callable

from workers.adapters.process import clock
from workers.adapters.process.exit_codes import Exit
from workers.adapters.process.liveness import Liveness
from workers.adapters.process.termination import end_at_once

log = logging.getLogger(__name__)

#: Interval between checks [s], shorter if a limit is short.
_TICK_S = 1.0
#: Time limit for writing the final log lines: the reader of the log may hang as well [s].
_LOG_TIMEOUT_S = 5.0


class Watchdog:
    """A thread that checks the event loop and the parts' beats, and ends the process immediately if one of them hangs.

    Exit.STALLED: the loop has not answered for `loop_limit_s`, or a working part has made no progress for `stall_limit_s`.
    Exit.NOT_STOPPED: the process still runs `stop_limit_s` after `stopping`; the other limits no longer apply then.
    """

    def __init__(
        self,
        liveness: Liveness,
        *,
        loop_limit_s: float,
        stall_limit_s: float,
        stop_limit_s: float,
        end_process: Callable[[int], object] = end_at_once,
    ) -> None:
        """Does not watch anything yet."""
        self._liveness = liveness
        self._loop_limit_s = loop_limit_s
        self._stall_limit_s = stall_limit_s
        self._stop_limit_s = stop_limit_s
        self._end_process = end_process
        self._tick_s = min(_TICK_S, loop_limit_s / 10, stall_limit_s / 10, stop_limit_s / 10)
        self._awake_s = 0.0
        self._pinged_at_s: float | None = None
        self._stopping_at_s: float | None = None
        self._seen: dict[str, tuple[int, float]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = threading.Event()

    def watch(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Starts the thread. Call it once the loop runs: before that it cannot answer. None: there is no loop."""
        self._loop = loop
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def stopping(self) -> None:
        """Gives the process `stop_limit_s` from now to end by itself. Further calls change nothing."""
        if self._stopping_at_s is None:
            self._stopping_at_s = self._awake_s

    def close(self) -> None:
        """Stops watching; for tests only."""
        self._ended.set()

    def check(self, elapsed_s: float) -> None:
        """Checks once, `elapsed_s` after the previous check by a clock that keeps running while the process is suspended."""
        self._awake_s += min(elapsed_s, 2 * self._tick_s)
        if self._stopping_at_s is not None:
            if self._awake_s - self._stopping_at_s >= self._stop_limit_s:
                waiting = "; ".join(self._liveness.beats) or "the event loop or a thread"
                self._end(Exit.NOT_STOPPED, f"it has not stopped within {self._stop_limit_s:g} s ({waiting})")
            return
        self._ping_loop()
        if self._liveness.silent_s >= self._loop_limit_s:
            self._end(Exit.STALLED, f"the event loop has not answered for {self._liveness.silent_s:.0f} s")
            return
        beats = self._liveness.beats
        self._seen = {
            name: seen if (seen := self._seen.get(name)) is not None and seen[0] == number else (number, self._awake_s)
            for name, number in beats.items()
        }
        for name, (_, since_s) in self._seen.items():
            if self._awake_s - since_s >= self._stall_limit_s:
                self._end(Exit.STALLED, f"{name} has not moved for {self._awake_s - since_s:.0f} s")
                return

    def _run(self) -> None:
        before_s = clock.monotonic_s()
        while not self._ended.wait(self._tick_s):
            now_s = clock.monotonic_s()
            self.check(now_s - before_s)
            before_s = now_s

    def _ping_loop(self) -> None:
        if self._pinged_at_s is not None:
            self._liveness.silent_s = self._awake_s - self._pinged_at_s
            return
        self._liveness.silent_s = 0.0
        if self._loop is None:
            return
        self._pinged_at_s = self._awake_s
        try:
            self._loop.call_soon_threadsafe(self._pong)
        except RuntimeError:  # closed: the process is ending
            self._pinged_at_s = None

    def _pong(self) -> None:
        """Runs in the loop: it has answered."""
        self._pinged_at_s = None

    def _end(self, code: Exit, why: str) -> None:
        """Ends the process without a clean stop, which a hanging part would block; no uncommitted state may survive."""
        self._ended.set()
        logging_thread = threading.Thread(target=_log_stacks, args=(code, why), name="final log", daemon=True)
        logging_thread.start()
        logging_thread.join(_LOG_TIMEOUT_S)  # the loop may hang because nothing reads the log
        self._end_process(code)


def _log_stacks(code: Exit, why: str) -> None:
    """Logs one line, then the stack of every thread and what every task awaits: files, lines and functions, no values."""
    log.critical("watchdog ends the worker with code %d: %s; the stacks of all threads follow", code, why)
    if sys.__stderr__ is not None:
        sys.__stderr__.flush()
        faulthandler.dump_traceback(file=sys.__stderr__, all_threads=True)
        for task in (found for found in gc.get_objects() if isinstance(found, asyncio.Task) and not found.done()):
            print(f"Task {_where(task.get_coro())}", file=sys.__stderr__, flush=True)


def _where(awaited: object) -> str:
    """Returns where a coroutine is suspended, outermost frame first: the stack of the loop's thread does not show it."""
    places = []
    while (frame := getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)) is not None:
        places.append(f"{frame.f_code.co_qualname} ({frame.f_code.co_filename}:{frame.f_lineno})")
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
    return " > ".join([*places, type(awaited).__name__])
