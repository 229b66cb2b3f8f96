"""The checkpoint of a lane's state: offsets, clock, and the IDs of its sources."""

from __future__ import annotations

import msgspec


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """What a transaction says of its lane: the next source offset of each topic, and the partition clock [s].

    `source_ids`: the id of the topic that an offset is of; a marker of before there were any has none.
    `anew_at_s`: when it last began without state though its ledger was not empty (0 = never).
    """

    offsets: dict[str, int] = {}
    clock_s: float = 0.0
    anew_at_s: float = 0.0
    source_ids: dict[str, str] = {}


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far the local copy is: the next changelog offset to read, and the newest marker before it."""

    changelog_offset: int = 0
    marker: Marker = Marker()
