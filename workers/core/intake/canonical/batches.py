"""Represents a batch: the events of one record, and the fields they share."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from schemas.values import Json


class Batch(NamedTuple):
    """The events of one record. `join` builds the event of one of the `calls` on demand: each event repeats the `shared`
    fields, and a record may have thousands of events.
    """

    calls: list[object]
    shared: Json
    join: Callable[[Json], Json]
