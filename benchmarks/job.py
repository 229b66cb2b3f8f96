"""What the bench tells a program, and how a program tells how far it is."""

from __future__ import annotations

import mmap
from pathlib import Path

import msgspec


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one program.

    `topic` holds exactly `events` events; 0 = read on for ever. `name` is fresh: groups, changelogs and transactional ids
    begin with it; `folder` is empty, for local state. `output`: a topic to write one record per event to, keyed by
    customer; empty = none. `option` is the variant of the program. `prefix` is the installation's, for the real role.
    """

    program: str
    brokers: str
    topic: str
    events: int
    name: str
    folder: str
    output: str = ""
    option: str = ""
    prefix: str = ""
    partitions: int = 4

    @property
    def progress(self) -> Path:
        """The file that the program counts in."""
        return Path(self.folder) / "progress"


class Progress:
    """Two 64-bit counters in a shared file: events whose work is done, and 1 once everything is durable.

    The bench looks at them from outside, so measuring costs a program one addition per event or batch.
    """

    def __init__(self, path: Path) -> None:
        """Opens the file, or creates it with zeros."""
        if not path.exists():
            path.write_bytes(bytes(16))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 16)
        self._cells = memoryview(self._map).cast("q")

    def add(self, events: int) -> int:
        """Counts events; returns how many there are by now."""
        self._cells[0] += events
        return self._cells[0]

    def finish(self) -> None:
        """Says that all is written and committed."""
        self._cells[1] = 1

    @property
    def events(self) -> int:
        """Events counted so far."""
        return self._cells[0]

    @property
    def finished(self) -> bool:
        """Whether everything is durable."""
        return self._cells[1] == 1
