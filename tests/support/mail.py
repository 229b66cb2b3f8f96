"""Provides mail servers on ports that no other process can take: the listening socket is bound before the port is known."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Thread
from typing import Any

from aiosmtpd.controller import Controller

from workers.delivery.transports.mime import Identity
from workers.delivery.transports.smtp import SmtpChannel, SmtpServer


@contextmanager
def refusing_port() -> Iterator[int]:
    """Yields a loopback port that refuses connections, and on which no other process can listen."""
    with bound() as held:
        yield int(held.getsockname()[1])


def bound(port: int = 0) -> socket.socket:
    """Returns a socket that is bound but does not listen yet. `port`: that of an earlier socket whose server has stopped."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of the earlier one may still be open
    held.bind(("127.0.0.1", port))
    return held


class BoundController(Controller):
    """The controller of aiosmtpd, on a bound socket."""

    def __init__(self, handler: object, held: socket.socket | None = None, **options: Any) -> None:
        self._held = held or bound()
        super().__init__(handler, hostname="127.0.0.1", port=self._held.getsockname()[1], **options)

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self._held, ssl=self.ssl_context)


class ScriptedServer:
    """Speaks SMTP line by line according to a script: command → replies, each used once, the last one repeatedly.

    A reply may be a function, which gets the connection and replies itself, or hangs up. `seen`: the commands received.
    """

    def __init__(
        self, features: Sequence[str] = (), **replies: str | list[str] | Callable[[socket.socket], None]
    ) -> None:
        greeting = "\r\n".join(f"250-{feature}" for feature in ("mail.example", *features)) + "\r\n250 HELP"
        usual = {
            "ehlo": greeting,
            "mail": "250 OK",
            "rcpt": "250 OK",
            "rset": "250 OK",
            "data": "354 go",
            "end": "250 OK",
        }
        self._replies: dict[str, Any] = usual | {"connect": "220 mail.example"} | replies
        self.seen: list[str] = []
        self.contents: list[bytes] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        Thread(target=self._accept, daemon=True).start()

    def channel(self, timeout_s: float = 5.0) -> SmtpChannel:
        server = SmtpServer(host="127.0.0.1", port=self.port, timeout_s=timeout_s)
        return SmtpChannel(server, Identity(address="news@shop.example"), b"a secret of the tests")

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            try:
                going = self._answer("connect", connection)
                while going and (line := lines.readline()):
                    self.seen.append(line.decode("utf-8").rstrip())
                    command = line[:4].decode("ascii").strip().lower()
                    going = self._answer(command, connection)
                    if command == "data" and going and self.seen[-1] == "data" and self._taken:
                        content = bytearray()
                        while (part := lines.readline()) not in (b".\r\n", b""):
                            content += part
                        self.contents.append(bytes(content))
                        going = self._answer("end", connection)
            except OSError:
                return

    def _answer(self, command: str, connection: socket.socket) -> bool:
        """Sends the reply to a command; returns False if the server hangs up."""
        reply = self._replies.get(command, "500 what?")
        if isinstance(reply, list):
            reply = reply.pop(0) if len(reply) > 1 else reply[0]
        if callable(reply):
            reply(connection)
            return False
        self._taken = reply.startswith("354")
        connection.sendall(f"{reply}\r\n".encode())
        return not reply.startswith("421")
