"""Batches: the events of one record, and what the record says for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from schemas.values import Json


class Batch(NamedTuple):
    """`join` makes an event of one of the `calls`, when it is its turn: what is `shared` is repeated in each, and a record may
    have thousands of them.
    """

    calls: list[object]
    shared: Json
    join: Callable[[Json], Json]
