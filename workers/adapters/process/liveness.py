"""Collects the progress that a worker's parts report; health checks and the watchdog read it."""

from __future__ import annotations

import itertools

#: The part of a process that waits for its partitions.
ASSIGNMENT = "partitions"


class Liveness:
    """The progress reported by the parts of a process; callable from any thread, and cheap enough for every batch.

    A part that is `working` must `beat` whenever it makes progress, until it is `idle`. A reason set by `awaits` explains why
    the process is not ready. Names and reasons contain no personal data: probes show them.
    """

    def __init__(self) -> None:
        self.silent_s = 0.0
        """The time for which the event loop has not answered the watchdog [s of awake time]."""
        self._numbers = itertools.count(1)  # never repeats: a part that was idle in between is not taken for hanging
        self._beats: dict[str, int] = {}
        self._reasons: dict[str, str] = {ASSIGNMENT: "not assigned yet"}

    def working(self, name: str, awaits: str = "") -> None:
        """Expects beats of this part from now on; this is not a beat itself if the part already works.

        `awaits` is the reason why the process is not ready yet, if any.
        """
        if name not in self._beats:
            self._beats[name] = next(self._numbers)
        self.awaits(name, awaits)

    def beat(self, name: str) -> None:
        """Records progress of this part. No effect if it is not working: a late call from a part that was closed."""
        if name in self._beats:
            self._beats[name] = next(self._numbers)

    def idle(self, name: str, awaits: str = "") -> None:
        """Expects no beats of this part until it works again; `awaits` is the reason why the process is not ready, if any."""
        self._beats.pop(name, None)
        if awaits:
            self._reasons[name] = awaits
        else:
            self._reasons.pop(name, None)

    def awaits(self, name: str, reason: str) -> None:
        """Sets the reason why this part keeps the process from being ready; empty: it does not."""
        self._reasons[name] = reason

    @property
    def beats(self) -> dict[str, int]:
        """The number of the newest beat of each working part."""
        return self._beats.copy()

    @property
    def waiting(self) -> list[str]:
        """One line for each part that is not ready; empty if the process is ready."""
        return [f"{name}: {reason}" for name, reason in self._reasons.copy().items() if reason]
