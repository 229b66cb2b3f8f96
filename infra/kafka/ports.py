"""Picks free TCP ports on loopback that stay free for a restart."""

from __future__ import annotations

import secrets
import socket

from infra.kafka.properties import HOST
from workers.core.errors import Unavailable

#: Below Linux's range for outgoing connections, so that none of them can use the port between two starts.
RANGE = range(20_000, 32_000)


def is_free(port: int) -> bool:
    """Returns whether a server could listen on this loopback port now; a port in TIME_WAIT counts as free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def pick_port(taken: frozenset[int] = frozenset()) -> int:
    """Returns a free port that is not in `taken`, drawn at random so that simultaneous starts rarely collide.

    Raises Unavailable if a hundred draws find none.
    """
    for port in secrets.SystemRandom().sample(RANGE, 100):
        if port not in taken and is_free(port):
            return port
    raise Unavailable(
        f"No free port between {RANGE.start} and {RANGE.stop - 1} on {HOST}.", "stop the programs that use them"
    )
