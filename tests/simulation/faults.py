"""Injects faults that no world causes by itself: records and customers that make our own code raise, a removed time zone."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from workers.adapters.lanes import poison_records
from workers.adapters.process import failpoints
from workers.core.decisioning import quiet_hours
from workers.core.profile.model import Profile
from workers.core.publishing import messages

POISON = "POISON"
_zone = quiet_hours._zone
_message = messages.message


class Faults:
    """The faults that are active."""

    def __init__(self) -> None:
        self.removed_zone = ""
        self.failing: set[str] = set()

    def message(self, profile: Profile, *args: Any) -> Any:
        """Builds the message of a customer; raises for customers in `failing`."""
        if profile.customer_id in self.failing:
            raise ValueError("failing")
        return _message(profile, *args)

    def remove_zone(self, name: str) -> None:
        """Removes one zone from the time zone data ("" = none)."""
        self.removed_zone = name
        for cached in vars(quiet_hours).values():
            if cached is not _zone and hasattr(cached, "cache_clear"):
                cached.cache_clear()

    def zone(self, name: str) -> ZoneInfo:
        """Returns a zone of the changed time zone data."""
        if name == self.removed_zone:
            raise ZoneInfoNotFoundError(name)
        return _zone(name)


@contextmanager
def armed() -> Iterator[Faults]:
    """Enables the faults inside the block."""
    faults = Faults()
    poison_records.log.setLevel(logging.CRITICAL + 1)
    with (
        failpoints.while_armed("core.poison"),
        mock.patch.object(quiet_hours, "_zone", faults.zone),
        mock.patch.object(messages, "message", faults.message),
    ):
        faults.remove_zone("")
        yield faults
        faults.remove_zone("")
