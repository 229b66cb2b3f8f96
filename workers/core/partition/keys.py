"""Builds and parses the state-store keys of one lane.

    p<customer>                     hot profile          changelog
    c<customer>                     cold profile         changelog
    i<hour, 4 bytes><customer>      page of event ids    changelog
    r<channel>                      pace of a channel    changelog
    n                               pending counts       changelog
    t<due, 8 bytes><length><customer><timer id>          index only: rebuilt from the profiles on restore

Numbers are big-endian, so that byte order is time order.
"""

from __future__ import annotations

from struct import pack, unpack_from

PROFILE, COLD, PAGE, PACE, TIMER, PENDING = b"p", b"c", b"i", b"r", b"t", b"n"


def profile_key(customer_id: str) -> bytes:
    """Returns the key of the hot record."""
    return PROFILE + customer_id.encode()


def cold_key(customer_id: str) -> bytes:
    """Returns the key of the cold record."""
    return COLD + customer_id.encode()


def page_key(hour: int, customer_id: str) -> bytes:
    """Returns the key of the event IDs of one customer and hour (hours since the epoch)."""
    return PAGE + pack(">I", hour) + customer_id.encode()


def page_hour(key: bytes) -> int:
    """Returns the hour of a page key."""
    return int(unpack_from(">I", key, 1)[0])


def pace_key(channel: str) -> bytes:
    """Returns the key of a channel's pacing record, one per lane."""
    return PACE + channel.encode()


def timer_key(due_s: float, customer_id: str, timer_id: str) -> bytes:
    """Returns the index key of one timer.

    >>> parse_timer(timer_key(1.5, "ana", "v"))
    (1.5, 'ana', 'v')
    """
    customer = customer_id.encode()
    return TIMER + pack(">QH", round(max(due_s, 0.0) * 1000), len(customer)) + customer + timer_id.encode()


def parse_timer(key: bytes) -> tuple[float, str, str]:
    """Returns (due [s], customer_id, timer_id) of an index key."""
    due_ms, length = unpack_from(">QH", key, 1)
    return due_ms / 1000, key[11 : 11 + length].decode(), key[11 + length :].decode()
