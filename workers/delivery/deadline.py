"""An end for a conversation over a socket: its own timeout begins anew with each byte, and a server that drips never meets it."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable


class Deadline:
    """`begin` sets the end; whatever is read or written through it afterwards raises TimeoutError from then on."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        """`now_s`: a clock that never jumps back [s]."""
        self._now_s = now_s
        self._ends_s = float("inf")

    def begin(self, timeout_s: float) -> None:
        """From now on there is so much time."""
        self._ends_s = self._now_s() + timeout_s

    def send(self, sock: socket.socket, data: bytes) -> None:
        """All of it."""
        left = memoryview(data)
        while left:
            self.limit(sock)
            left = left[sock.send(left) :]

    def reader(self, sock: socket.socket) -> io.BufferedReader:
        """What comes from the socket; closing it leaves the socket open."""
        return io.BufferedReader(_Reader(sock, self))

    def limit(self, sock: socket.socket) -> None:
        """The next operation of the socket may take what is left. Raises TimeoutError when that is nothing."""
        left_s = self._ends_s - self._now_s()
        if left_s <= 0:
            raise TimeoutError("the time is over")
        sock.settimeout(left_s)


class _Reader(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # its stub names a type of typeshed's own
        self._deadline.limit(self._sock)
        return self._sock.recv_into(buffer)
