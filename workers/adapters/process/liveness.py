"""The progress that a worker reports; health checks and the watchdog read it."""

from __future__ import annotations

import itertools

#: The part of a process that waits for its partitions.
ASSIGNMENT = "partitions"


class Liveness:
    """What the parts of a process say of themselves; from any thread, and cheap enough for every batch.

    A part that is `working` must `beat` whenever it has moved, until it is `idle`. What a part `awaits` is why the process
    is not ready. Names and reasons hold no personal data: probes show them.
    """

    def __init__(self) -> None:
        self.silent_s = 0.0
        """For how long the event loop has not answered the watchdog [s of awake time]."""
        self._numbers = itertools.count(1)  # never repeats: who was idle in between is not mistaken for hanging
        self._beats: dict[str, int] = {}
        self._reasons: dict[str, str] = {ASSIGNMENT: "not assigned yet"}

    def working(self, name: str, awaits: str = "") -> None:
        """From now on this part must beat. No beat by itself when it works already; says what the part waits for, if at all."""
        if name not in self._beats:
            self._beats[name] = next(self._numbers)
        self.awaits(name, awaits)

    def beat(self, name: str) -> None:
        """This part has moved. No effect when it is not working: a late word of a part that was closed."""
        if name in self._beats:
            self._beats[name] = next(self._numbers)

    def idle(self, name: str, awaits: str = "") -> None:
        """Nothing is expected of this part until it works again; `awaits`: but the process is not ready without it."""
        self._beats.pop(name, None)
        if awaits:
            self._reasons[name] = awaits
        else:
            self._reasons.pop(name, None)

    def awaits(self, name: str, reason: str) -> None:
        """Why the process is not ready as far as this part goes; empty: it is."""
        self._reasons[name] = reason

    @property
    def beats(self) -> dict[str, int]:
        """The number of the newest beat of each working part."""
        return self._beats.copy()

    @property
    def waiting(self) -> list[str]:
        """One line for each part that is not ready; none: the process is."""
        return [f"{name}: {reason}" for name, reason in self._reasons.copy().items() if reason]
