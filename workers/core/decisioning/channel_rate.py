"""Limits the rate of each channel: a message that its senders could not take yet waits for its turn.

After an outage or at the end of quiet hours many occurrences are due at once. Each lane has an even share of the channel's
rate.
"""

from __future__ import annotations

import msgspec

from workers.core.partition import keys
from workers.core.partition.unit_of_work import UnitOfWork
from workers.core.playbook.playbook import Playbook

#: Burst that may be published at once before the rest waits [s of the rate].
_BURST_S = 1.0
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(float).decode


class ChannelRateLimiter:
    """The rate limit of every channel in one lane. Places taken are part of the lane's state."""

    def __init__(self, playbook: Playbook, workspace: UnitOfWork, lanes: int) -> None:
        self._workspace = workspace
        self._interval_s = {
            channel.id: lanes / channel.rate_per_s
            for channel in playbook.channels.values()
            if channel.rate_per_s is not None
        }
        self._free_at_s: dict[str, float] = {}

    def turn(self, channel: str, now_s: float) -> float:
        """Takes the next free place of a channel and returns when the message may be published: `now_s` if there is room."""
        interval_s = self._interval_s.get(channel)
        if interval_s is None:
            return now_s
        free_at_s = self._free_at_s.get(channel)
        if free_at_s is None:
            stored = self._workspace.stored(keys.pace_key(channel))
            free_at_s = _decode(stored) if stored else 0.0
        place_s = max(free_at_s, now_s - _BURST_S)
        self._free_at_s[channel] = place_s + interval_s
        self._workspace.store(keys.pace_key(channel), _encode(place_s + interval_s))
        return max(place_s, now_s)
