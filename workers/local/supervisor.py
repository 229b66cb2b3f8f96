"""Runs roles as child processes: restarts those that die with growing pauses, and ends them cleanly."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Self

from infra.child import start_child
from workers.adapters.process import clock
from workers.adapters.process.exit_codes import Exit, in_words
from workers.core.errors import CURE, Unavailable
from workers.private_files import private_folder
from workers.settings import Settings, to_environment

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
#: A role that ran this long is healthy again: its next restart does not wait.
_HEALTHY_AFTER_S = 60.0
#: After this many ends within this time [s] an immediate restart is unlikely to help, whatever the cause.
_FLAPPING_ENDS, _FLAPPING_WITHIN_S = 5, 60.0
#: Time after a stop request, on top of the limit that a worker sets itself [s].
_GRACE_S = 5.0


#: Matches what `workers.main.run` logs, whatever port it was given.
_METRICS_URL = re.compile(r"(?<=metrics on )http://\S+")


def worker_command(role: str) -> tuple[str, ...]:
    """Returns the command line of a role."""
    return (sys.executable, "-P", "-m", "workers.cli", "worker", role)


class Role:
    """One supervised child."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        command: Callable[[str], tuple[str, ...]] = worker_command,
        now_s: Callable[[], float] = clock.monotonic_s,
    ) -> None:
        self.name = name
        self.log = Path(settings.data_dir).absolute() / "logs" / f"{name}.log"
        self.restarts = 0
        self._settings = settings
        self._command = command(name)
        self._now_s = now_s
        self._process: subprocess.Popen[bytes] | None = None
        self._started_s = 0.0
        self._pause_s = 0.0
        self._again_at_s: float | None = None
        self._ends: deque[float] = deque(maxlen=_FLAPPING_ENDS)
        self._flapping_with: int | None = None
        self._metrics_url: str | None = None

    @property
    def pid(self) -> int | None:
        """The ID of the running process, None if there is none."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Starts the child; it dies with this process."""
        private_folder(self.log.parent)
        if self.log.exists() and self.restarts:
            self.log.replace(self.log.with_suffix(".log.1"))
        self._process = start_child(
            self._command, output=self.log, environment={**os.environ, **to_environment(self._settings)}
        )
        self._started_s = self._now_s()
        self._metrics_url = None

    def poll(self) -> str | None:
        """Restarts a dead child when its pause is over. Returns a line if something happened.

        A child that ends again and again is retried forever, with the longest pause; that is reported once, until it ends in
        another way or has run for a minute. Raises Unavailable if the child reports that its configuration is wrong: a
        restart would not help.
        """
        if self._process is None:
            return None
        now_s = self._now_s()
        if self.pid is not None:
            return self._recovered(now_s)
        code = self._process.returncode
        if code == Exit.MISCONFIGURED:
            what, _, cure = self.last_words().partition(CURE)
            raise Unavailable(f"{self.name} refuses to start: {what}", f"{cure or 'correct it'}; its log is {self.log}")
        if self._again_at_s is None:
            return self._ended(code, now_s)
        if now_s < self._again_at_s:
            return None
        self._again_at_s = None
        self.restarts += 1
        self.start()
        return None if self._flapping_with is not None else f"{self.name} is started again"

    def _recovered(self, now_s: float) -> str | None:
        if self._flapping_with is None or now_s - self._started_s <= _HEALTHY_AFTER_S:
            return None
        self._flapping_with = None
        return f"{self.name} runs again"

    def _ended(self, code: int, now_s: float) -> str | None:
        """Sets the pause before the next start. Returns a line unless it was reported before."""
        if now_s - self._started_s > _HEALTHY_AFTER_S:
            self._pause_s = 0.0
        self._ends.append(now_s)
        what = f"{self.name} ended with {in_words(code)} ({self.last_words()})"
        known = self._flapping_with
        if known is not None or (len(self._ends) == _FLAPPING_ENDS and now_s - self._ends[0] <= _FLAPPING_WITHIN_S):
            self._pause_s, self._flapping_with = _LONGEST_PAUSE_S, code
        self._again_at_s = now_s + self._pause_s
        self._pause_s = min(max(self._pause_s * 2, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
        if self._flapping_with is None:
            return what
        if known == code:
            return None
        return f"{what}; it keeps ending and is tried every {_LONGEST_PAUSE_S:.0f} s, its log is {self.log}"

    def ask_to_stop(self) -> None:
        """Sends SIGTERM: transactions finish."""
        if self.pid is not None and self._process is not None:
            self._process.terminate()

    def wait(self, timeout_s: float) -> None:
        """Waits for the end, and kills by its own ID after the timeout."""
        if self._process is None:
            return
        try:
            self._process.wait(max(timeout_s, 0.1))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def metrics_url(self) -> str | None:
        """Returns where the role serves its metrics, from its log; None = not logged yet."""
        if self._metrics_url is None and self.log.exists():
            found = _METRICS_URL.search(self.log.read_text(errors="replace"))
            self._metrics_url = found[0] if found else None
        return self._metrics_url

    def last_words(self) -> str:
        """Returns the last meaningful line of its log; if there is a critical one, the last of those: stack traces may follow
        it.
        """
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        said = [line.strip() for line in lines if line.strip()]
        critical = [line for line in said if " CRITICAL " in line]
        return critical[-1] if critical else said[-1] if said else "nothing in its log"


class Supervisor:
    """A context manager: inside the block the roles run; afterwards none is left."""

    def __init__(self, settings: Settings, roles: tuple[str, ...], stop_timeout_s: float | None = None) -> None:
        """`stop_timeout_s` None: a little more than a worker needs to end itself."""
        self.roles = [Role(name, settings) for name in roles]
        self._stop_timeout_s = settings.stop_timeout_s + _GRACE_S if stop_timeout_s is None else stop_timeout_s

    def __enter__(self) -> Self:
        for role in self.roles:
            role.start()
        return self

    def __exit__(self, *_: object) -> None:
        ends_at_s = clock.monotonic_s() + self._stop_timeout_s
        for role in self.roles:
            role.ask_to_stop()
        for role in self.roles:
            role.wait(ends_at_s - clock.monotonic_s())

    def poll(self) -> list[str]:
        """Checks the children; call it about every second. Returns what happened, for a person to read."""
        return [line for role in self.roles if (line := role.poll()) is not None]
