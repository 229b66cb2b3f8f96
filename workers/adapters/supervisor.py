"""Runs roles as child processes: starts them again with growing pauses when they die, ends them cleanly."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Self

from infra.child import start_child
from workers.adapters import clock
from workers.errors import Unavailable
from workers.settings import Settings, to_environment

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
#: A role that ran this long is healthy again: its next restart does not wait.
_HEALTHY_AFTER_S = 60.0
_MISCONFIGURED = 78  # EX_CONFIG: a restart does not help


class Role:
    """One supervised child."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.log = Path(settings.data_dir).absolute() / "logs" / f"{name}.log"
        self.restarts = 0
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._started_s = 0.0
        self._pause_s = 0.0
        self._again_at_s = 0.0

    @property
    def pid(self) -> int | None:
        """The running process, None when there is none."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Starts the child; it dies with this process."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.restarts:
            self.log.replace(self.log.with_suffix(".log.1"))
        self._process = start_child(
            [sys.executable, "-m", "workers.cli", "worker", self.name],
            output=self.log,
            environment={**os.environ, **to_environment(self._settings)},
        )
        self._started_s = clock.monotonic_s()

    def poll(self) -> str | None:
        """Starts a dead child again when its pause is over. Returns a line when something happened.

        Raises Unavailable when the child says that its configuration is wrong: a restart would not help.
        """
        if self.pid is not None or self._process is None:
            return None
        now_s = clock.monotonic_s()
        code = self._process.returncode
        if code == _MISCONFIGURED:
            raise Unavailable(
                f"{self.name} refuses to start: {self.last_words()}", f"correct it; its log is {self.log}"
            )
        if not self._again_at_s:
            if now_s - self._started_s > _HEALTHY_AFTER_S:
                self._pause_s = 0.0
            self._again_at_s = now_s + self._pause_s
            self._pause_s = min(max(self._pause_s * 2, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
            return f"{self.name} ended with code {code}: {self.last_words()}"
        if now_s < self._again_at_s:
            return None
        self._again_at_s = 0.0
        self.restarts += 1
        self.start()
        return f"{self.name} is started again"

    def ask_to_stop(self) -> None:
        """SIGTERM: transactions finish, the group is left."""
        if self.pid is not None and self._process is not None:
            self._process.terminate()

    def wait(self, timeout_s: float) -> None:
        """Waits for the end, and kills by its own id after the timeout."""
        if self._process is None:
            return
        try:
            self._process.wait(max(timeout_s, 0.1))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def last_words(self) -> str:
        """The last line of its log that says something."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return next((line.strip() for line in reversed(lines) if line.strip()), "nothing in its log")


class Supervisor:
    """A context manager: inside the block the roles run; after it none is left."""

    def __init__(self, settings: Settings, roles: tuple[str, ...], stop_timeout_s: float = 30.0) -> None:
        self.roles = [Role(name, settings) for name in roles]
        self._stop_timeout_s = stop_timeout_s

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
        """Looks after the children; call it about every second. Returns what happened, for a person."""
        return [line for role in self.roles if (line := role.poll()) is not None]
