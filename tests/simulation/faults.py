"""Mistakes that no world brings about by itself: a record that makes our own code raise, a time zone that is gone."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from workers.adapters import failpoints, isolation
from workers.core import quiet_hours

POISON = "POISON"
_zone = quiet_hours._zone


class Faults:
    """What is wrong at the moment."""

    def __init__(self) -> None:
        self.gone_zone = ""

    def lacks(self, name: str) -> None:
        """The next tzdata has every zone but this one ("" = it lacks none)."""
        self.gone_zone = name
        for remembered in vars(quiet_hours).values():
            if remembered is not _zone and hasattr(remembered, "cache_clear"):
                remembered.cache_clear()

    def zone(self, name: str) -> ZoneInfo:
        """As the next tzdata has it."""
        if name == self.gone_zone:
            raise ZoneInfoNotFoundError(name)
        return _zone(name)


@contextmanager
def armed() -> Iterator[Faults]:
    """Lets them happen."""
    faults = Faults()
    isolation.log.setLevel(logging.CRITICAL + 1)
    with (
        mock.patch.dict(failpoints._armed, {"core.poison": (1, "")}),
        mock.patch.object(quiet_hours, "_zone", faults.zone),
    ):
        faults.lacks("")
        yield faults
        faults.lacks("")
