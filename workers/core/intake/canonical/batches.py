"""Batches: the events of one record, and the fields they share."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from schemas.values import Json


class Batch(NamedTuple):
    """`join` builds the event of one of the `calls` only when it is needed: each event repeats what is `shared`, and a record
    may have thousands of them.
    """

    calls: list[object]
    shared: Json
    join: Callable[[Json], Json]
