"""The checkpoint of a lane's state: offsets, clock, and the IDs of its sources."""

from __future__ import annotations

import msgspec


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """A lane's progress as stored by a transaction: the next source offset of each topic, and the partition clock [s].

    `source_ids`: topic → ID of the topic to which its offset belongs; markers from before IDs existed have none. `anew_at_s`:
    the time at which the lane last started without state although its ledger was not empty (0 = never).
    """

    offsets: dict[str, int] = {}
    clock_s: float = 0.0
    anew_at_s: float = 0.0
    source_ids: dict[str, str] = {}


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """The progress of the local copy: the next changelog offset to read, and the newest marker before it."""

    changelog_offset: int = 0
    marker: Marker = Marker()
