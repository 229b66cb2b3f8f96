"""POSTs to one URL, and interprets the statuses with which HTTP services request a retry."""

from __future__ import annotations

import hashlib
import http.client
import io
import re
import socket
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import msgspec

from workers.delivery.deadline import Deadline
from workers.delivery.ports import Later
from workers.delivery.retry_after import retry_after_s

#: Maximum number of bytes read from a response's body.
_MAX_BODY_BYTES = 65_536
_URL = re.compile(r"[!-~]+")  # ASCII without spaces
_HEADER_SAFE = re.compile(r"[A-Za-z0-9_-]{1,128}")


class Response(msgspec.Struct, frozen=True):
    """An HTTP status, the requested delay before a retry, and the beginning of the body."""

    status: int
    retry_after_s: float | None = None
    body: bytes = b""


class Unreachable(Exception):
    """There was no connection: the other side has certainly not received the request."""


class NoResponse(Exception):
    """The connection ended after the request was sent: the other side may have received it."""


Post = Callable[[bytes, Mapping[str, str]], Response]


class Endpoint:
    """POSTs JSON to one URL; does not follow redirects. Raises ValueError if it is not an http(s) URL.

    `timeout_s` limits a whole request, from connecting to the end of the response, however slowly it arrives.
    """

    def __init__(self, url: str, timeout_s: float = 30.0, now_s: Callable[[], float] = time.monotonic) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or not _URL.fullmatch(url):
            raise ValueError("not an http(s) URL")
        self._connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port = parts.hostname, parts.port
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._timeout_s = timeout_s
        self._now_s = now_s

    def post(self, body: bytes, headers: Mapping[str, str]) -> Response:
        """Sends one request on a new connection. Raises Unreachable or NoResponse."""
        deadline = Deadline(self._now_s)
        deadline.begin(self._timeout_s)
        connection = self._connect(self._host, self._port, timeout=self._timeout_s)
        try:
            connection.connect()
        except OSError as error:
            raise Unreachable(type(error).__name__) from error
        sock = connection.sock
        connection.sock = _SocketWithDeadline(sock, deadline)
        try:
            connection.request("POST", self._path, body, {"Content-Type": "application/json", **headers})
            response = connection.getresponse()
            content = response.read(_MAX_BODY_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise NoResponse(type(error).__name__) from error
        finally:
            connection.close()
            sock.close()
        requested_s = retry_after_s(response.headers.get("Retry-After"), response.headers.get("Date"))
        return Response(response.status, requested_s, content)


class _SocketWithDeadline:
    """The part of a socket's interface that http.client uses, limited by one deadline."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        self._deadline.send(self._sock, data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return self._deadline.reader(self._sock)

    def close(self) -> None:
        """Does nothing: http.client closes before the body is read; the socket's owner closes it afterwards."""


def retry_later(response: Response) -> Later | None:
    """Returns Later if a retry may work; None = the status concerns this message. `everyone`: the service itself is the cause.

    >>> retry_later(Response(429, 7.0))
    Later(reason='HTTP 429', after_s=7.0, everyone=True)
    >>> retry_later(Response(500)).everyone, retry_later(Response(400))
    (False, None)
    """
    match response.status:
        case 401 | 429 | 502 | 503 | 504:  # our credentials, its rate limit, or an unavailable service
            everyone = True
        case status if 300 <= status < 400:  # the URL has moved: our configuration must change
            everyone = True
        case status if status in (408, 425) or status >= 500:  # may be caused by this message
            everyone = False
        case _:
            return None
    return Later(f"HTTP {response.status}", response.retry_after_s, everyone=everyone)


def header_key(key: str) -> str:
    """Returns a key safe for a header: itself if it is 1 to 128 letters, digits, `_` and `-`, otherwise its digest.

    >>> header_key("5f0c-1"), len(header_key("cart 1\\r\\nHost: evil.example"))
    ('5f0c-1', 64)
    """
    return key if _HEADER_SAFE.fullmatch(key) else hashlib.sha256(key.encode()).hexdigest()
