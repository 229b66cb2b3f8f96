"""Defines the job that the benchmark passes to a program, and the file in which a program reports its progress."""

from __future__ import annotations

import mmap
from pathlib import Path

import msgspec


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one program.

    `topic` holds exactly `events` events; 0 = never stop reading. `name` is unique: groups, changelogs and transactional IDs
    start with it; `folder` is empty, for local state. `output`: a topic for one record per event, keyed by customer; empty =
    none. `option` is the variant of the program. `prefix` is that of the installation, for the real role.
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
        """The file in which the program counts events."""
        return Path(self.folder) / "progress"


class Progress:
    """Two 64-bit counters in a shared file: processed events, and 1 once everything is durable.

    The benchmark reads them from outside, so measuring costs a program one addition per event or batch.
    """

    def __init__(self, path: Path) -> None:
        """Opens the file, or creates it with zeros."""
        if not path.exists():
            path.write_bytes(bytes(16))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 16)
        self._cells = memoryview(self._map).cast("q")

    def add(self, events: int) -> int:
        """Adds to the events counted; returns the new total."""
        self._cells[0] += events
        return self._cells[0]

    def finish(self) -> None:
        """Reports that everything is written and committed."""
        self._cells[1] = 1

    @property
    def events(self) -> int:
        """Events counted so far."""
        return self._cells[0]

    @property
    def finished(self) -> bool:
        """True if everything is durable."""
        return self._cells[1] == 1
