"""Mistakes that no world brings about by itself: records and customers that make our own code raise, a time zone that is gone."""

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
    """What is wrong at the moment."""

    def __init__(self) -> None:
        self.gone_zone = ""
        self.cursed: set[str] = set()

    def message(self, profile: Profile, *args: Any) -> Any:
        """Makes the message of a customer, unless our code has a mistake for this one."""
        if profile.customer_id in self.cursed:
            raise ValueError("cursed")
        return _message(profile, *args)

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
    poison_records.log.setLevel(logging.CRITICAL + 1)
    with (
        failpoints.while_armed("core.poison"),
        mock.patch.object(quiet_hours, "_zone", faults.zone),
        mock.patch.object(messages, "message", faults.message),
    ):
        faults.lacks("")
        yield faults
        faults.lacks("")
