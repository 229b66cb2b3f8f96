"""Limits the rate of each channel: a message that exceeds what its senders can take waits for its turn.

After an outage or at the end of quiet hours many occurrences are due at once. Each lane has an equal share of the channel's
rate.
"""

from __future__ import annotations

import msgspec

from workers.core.partition import keys
from workers.core.partition.unit_of_work import UnitOfWork
from workers.core.playbook.playbook import Playbook

#: The burst that may be published at once before further messages wait [s of the rate].
_BURST_S = 1.0
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(float).decode


class ChannelRateLimiter:
    """The rate limit of every channel in one lane. The slots taken are part of the lane's state."""

    def __init__(self, playbook: Playbook, workspace: UnitOfWork, lanes: int) -> None:
        self._workspace = workspace
        self._interval_s = {
            channel.id: lanes / channel.rate_per_s
            for channel in playbook.channels.values()
            if channel.rate_per_s is not None
        }
        self._free_at_s: dict[str, float] = {}

    def turn(self, channel: str, now_s: float) -> float:
        """Takes the next free slot of a channel and returns when the message may be published: `now_s` if it is free now."""
        interval_s = self._interval_s.get(channel)
        if interval_s is None:
            return now_s
        free_at_s = self._free_at_s.get(channel)
        if free_at_s is None:
            stored = self._workspace.stored(keys.pace_key(channel))
            free_at_s = _decode(stored) if stored else 0.0
        slot_s = max(free_at_s, now_s - _BURST_S)
        self._free_at_s[channel] = slot_s + interval_s
        self._workspace.store(keys.pace_key(channel), _encode(slot_s + interval_s))
        return max(slot_s, now_s)
