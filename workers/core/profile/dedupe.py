"""Detects duplicate events.

Ids are kept per hour of event time, as 64-bit hashes: a resend carries the same messageId and the same timestamp, so only one
hour is searched. The hot record holds the newest few; fuller hours are spilled to separate pages, so that a customer with
thousands of events a day does not slow down the others. Ids are forgotten after KEEP_HOURS.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from workers.core.common.ids import event_hash
from workers.core.profile.model import Profile

KEEP_HOURS = 7 * 24
HOT_IDS = 48
#: Maximum number of ids in a page (9 bytes each); beyond it the oldest are dropped.
PAGE_IDS = 20_000

encode_page = msgspec.msgpack.Encoder().encode
decode_page = msgspec.msgpack.Decoder(list[int]).decode


def hour_of(at_s: float) -> int:
    """Returns the whole hours since the epoch."""
    return int(at_s // 3600)


def is_duplicate(profile: Profile, event_id: str, at_s: float, page: Callable[[int], list[int]]) -> bool:
    """Returns whether this event of the customer was applied before; remembers it if not.

    `page(hour)` returns the spilled ids of an hour. An event more than KEEP_HOURS older than the customer's newest counts as new:
    its id may have been forgotten.
    """
    hour, digest = hour_of(at_s), event_hash(event_id)
    hot = profile.seen.get(hour)
    if hot is not None and digest in hot:
        return True
    if hour in profile.spilled and digest in page(hour):
        return True
    if hot is None:
        profile.seen[hour] = [digest]
    else:
        hot.append(digest)
    return False


def forget_and_spill(profile: Profile, clock_s: float) -> dict[int, list[int]]:
    """Drops expired hours, and moves whole hours out of an overfull hot record: returns hour → ids to append to its page."""
    oldest_kept = hour_of(clock_s) - KEEP_HOURS
    for hour in [hour for hour in profile.seen if hour < oldest_kept]:
        del profile.seen[hour]
    if profile.spilled and profile.spilled[0] < oldest_kept:
        profile.spilled = [hour for hour in profile.spilled if hour >= oldest_kept]
    held = sum(map(len, profile.seen.values()))
    spilled: dict[int, list[int]] = {}
    for hour in sorted(profile.seen) if held > HOT_IDS else ():
        spilled[hour] = profile.seen.pop(hour)
        held -= len(spilled[hour])
        if held <= HOT_IDS // 2:
            break
    if spilled:
        profile.spilled = sorted({*profile.spilled, *spilled})
    return spilled
