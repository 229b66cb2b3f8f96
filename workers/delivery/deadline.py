"""Limits the total time of a socket exchange. A socket's own timeout restarts with each byte, so a slow server can evade it."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable


class Deadline:
    """A deadline set by `begin`. Once it has passed, every read or write through it raises TimeoutError."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        """`now_s`: a monotonic clock [s]."""
        self._now_s = now_s
        self._ends_at_s = float("inf")

    def begin(self, timeout_s: float) -> None:
        """Sets the deadline to `timeout_s` from now."""
        self._ends_at_s = self._now_s() + timeout_s

    def send(self, sock: socket.socket, data: bytes) -> None:
        """Sends all of `data`."""
        remaining = memoryview(data)
        while remaining:
            self.limit(sock)
            remaining = remaining[sock.send(remaining) :]

    def reader(self, sock: socket.socket) -> io.BufferedReader:
        """Returns a reader over the socket; closing it leaves the socket open."""
        return io.BufferedReader(_Reader(sock, self))

    def limit(self, sock: socket.socket) -> None:
        """Limits the socket's next operation to the remaining time. Raises TimeoutError if there is none."""
        left_s = self._ends_at_s - self._now_s()
        if left_s <= 0:
            raise TimeoutError("the deadline has passed")
        sock.settimeout(left_s)


class _Reader(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # the stub uses a type that is private to typeshed
        self._deadline.limit(self._sock)
        return self._sock.recv_into(buffer)
