"""Runs roles as child processes: restarts those that end, with growing pauses, and stops them cleanly."""

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
from workers.adapters.process.exit_codes import Exit, describe_exit
from workers.core.errors import HINT, Unavailable
from workers.private_files import private_folder
from workers.settings import Settings, to_environment

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
#: A role that has run this long counts as healthy again: its next restart is immediate [s].
_HEALTHY_AFTER_S = 60.0
#: After this many exits within this time [s], an immediate restart is unlikely to help, whatever the cause.
_FLAPPING_ENDS, _FLAPPING_WITHIN_S = 5, 60.0
#: Time that a worker gets after a stop request, in addition to its own limit [s].
_GRACE_S = 5.0


#: Matches the URL that `workers.main.run` logs.
_METRICS_URL = re.compile(r"(?<=metrics on )http://\S+")


def worker_command(role: str) -> tuple[str, ...]:
    """Returns the command line of a role."""
    return (sys.executable, "-P", "-m", "workers.cli", "worker", role)


class Role:
    """One supervised child process."""

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
        self._started_at_s = 0.0
        self._pause_s = 0.0
        self._restart_at_s: float | None = None
        self._ended_at_s: deque[float] = deque(maxlen=_FLAPPING_ENDS)
        self._flapping_with: int | None = None
        self._metrics_url: str | None = None

    @property
    def pid(self) -> int | None:
        """The ID of the running process; None if it is not running."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Starts the child; it ends when this process ends."""
        private_folder(self.log.parent)
        if self.log.exists() and self.restarts:
            self.log.replace(self.log.with_suffix(".log.1"))
        self._process = start_child(
            self._command, output=self.log, environment={**os.environ, **to_environment(self._settings)}
        )
        self._started_at_s = self._now_s()
        self._metrics_url = None

    def poll(self) -> str | None:
        """Restarts a child that has ended, once its pause is over. Returns a line if something happened.

        A child that keeps ending is restarted indefinitely, with the longest pause. This is reported once, until it ends with
        another code or has run for a minute. Raises Unavailable if the child reports that its configuration is wrong: a
        restart would not help.
        """
        if self._process is None:
            return None
        now_s = self._now_s()
        if self.pid is not None:
            return self._recovered(now_s)
        code = self._process.returncode
        if code == Exit.MISCONFIGURED:
            reason, _, hint = self.last_log_line().partition(HINT)
            raise Unavailable(
                f"{self.name} refuses to start: {reason}", f"{hint or 'correct it'}; its log is {self.log}"
            )
        if self._restart_at_s is None:
            return self._ended(code, now_s)
        if now_s < self._restart_at_s:
            return None
        self._restart_at_s = None
        self.restarts += 1
        self.start()
        return None if self._flapping_with is not None else f"{self.name} was restarted"

    def _recovered(self, now_s: float) -> str | None:
        if self._flapping_with is None or now_s - self._started_at_s <= _HEALTHY_AFTER_S:
            return None
        self._flapping_with = None
        return f"{self.name} has recovered"

    def _ended(self, code: int, now_s: float) -> str | None:
        """Sets the pause before the next start. Returns a line unless this exit was already reported."""
        if now_s - self._started_at_s > _HEALTHY_AFTER_S:
            self._pause_s = 0.0
        self._ended_at_s.append(now_s)
        summary = f"{self.name} ended with {describe_exit(code)} ({self.last_log_line()})"
        reported_code = self._flapping_with
        if reported_code is not None or (
            len(self._ended_at_s) == _FLAPPING_ENDS and now_s - self._ended_at_s[0] <= _FLAPPING_WITHIN_S
        ):
            self._pause_s, self._flapping_with = _LONGEST_PAUSE_S, code
        self._restart_at_s = now_s + self._pause_s
        self._pause_s = min(max(self._pause_s * 2, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
        if self._flapping_with is None:
            return summary
        if reported_code == code:
            return None
        return f"{summary}; it keeps ending and is restarted every {_LONGEST_PAUSE_S:.0f} s; its log is {self.log}"

    def request_stop(self) -> None:
        """Sends SIGTERM, so that open transactions can finish."""
        if self.pid is not None and self._process is not None:
            self._process.terminate()

    def wait(self, timeout_s: float) -> None:
        """Waits until the process has ended; kills it after the timeout."""
        if self._process is None:
            return
        try:
            self._process.wait(max(timeout_s, 0.1))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def metrics_url(self) -> str | None:
        """The URL of the role's metrics, from its log; None = not logged yet."""
        if self._metrics_url is None and self.log.exists():
            found = _METRICS_URL.search(self.log.read_text(errors="replace"))
            self._metrics_url = found[0] if found else None
        return self._metrics_url

    def last_log_line(self) -> str:
        """Returns the last critical line of its log, because a stack trace may follow it; without one, the last line."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        critical = [line for line in lines if " CRITICAL " in line]
        return critical[-1] if critical else lines[-1] if lines else "its log is empty"


class Supervisor:
    """A context manager: the roles run inside the block, and have all ended after it."""

    def __init__(self, settings: Settings, roles: tuple[str, ...], stop_timeout_s: float | None = None) -> None:
        """`stop_timeout_s` None: a little more than a worker's own limit."""
        self.roles = [Role(name, settings) for name in roles]
        self._stop_timeout_s = settings.stop_timeout_s + _GRACE_S if stop_timeout_s is None else stop_timeout_s

    def __enter__(self) -> Self:
        for role in self.roles:
            role.start()
        return self

    def __exit__(self, *_: object) -> None:
        ends_at_s = clock.monotonic_s() + self._stop_timeout_s
        for role in self.roles:
            role.request_stop()
        for role in self.roles:
            role.wait(ends_at_s - clock.monotonic_s())

    def poll(self) -> list[str]:
        """Checks the children; call it about once a second. Returns one readable line for each event."""
        return [line for role in self.roles if (line := role.poll()) is not None]
