"""The proxy of the fault tests does what it says, and counts it."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from infra.kafka.properties import HOST
from tests.support.proxy import Proxy
from tests.support.waiting import wait_until

PRODUCE, FETCH = 0, 1


@pytest.fixture
def server() -> Iterator[int]:
    """A server that answers each request with its correlation id and its own words; its port."""
    listening = socket.create_server((HOST, 0))
    threading.Thread(target=_serve, args=(listening,), daemon=True).start()
    yield listening.getsockname()[1]
    listening.close()


def _serve(listening: socket.socket) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    with connection:
        while head := exactly(connection, 4):
            frame = exactly(connection, struct.unpack(">i", head)[0])
            reply = frame[4:8] + b"heard " + frame[8:]
            connection.sendall(struct.pack(">i", len(reply)) + reply)


def exactly(connection: socket.socket, size: int) -> bytes:
    """So many bytes; b"" = the connection ended before."""
    found = b""
    while len(found) < size:
        if not (more := connection.recv(size - len(found))):
            return b""
        found += more
    return found


def ask(client: socket.socket, api: int, correlation: int, words: bytes) -> bytes:
    """What comes back for a request; b"" = the connection was cut."""
    frame = struct.pack(">hhi", api, 9, correlation) + words
    try:
        client.sendall(struct.pack(">i", len(frame)) + frame)
        head = exactly(client, 4)
        return exactly(client, struct.unpack(">i", head)[0])[4:] if head else b""
    except ConnectionError:
        return b""


def client_of(proxy: Proxy) -> socket.socket:
    return socket.create_connection((HOST, proxy.port), timeout=10)


def test_it_passes_on_what_is_said(server: int) -> None:
    with Proxy(server) as proxy, client_of(proxy) as client:
        assert ask(client, FETCH, 1, b"one") == b"heard one"
        proxy.delay(0.01)
        assert ask(client, PRODUCE, 2, b"x" * 300_000) == b"heard " + b"x" * 300_000


def test_a_lost_reply_is_one_to_a_produce_request_and_takes_its_connection_along(server: int) -> None:
    with Proxy(server) as proxy:
        proxy.drop_produce_replies(1)
        with client_of(proxy) as client:
            assert ask(client, FETCH, 1, b"one") == b"heard one"
            assert ask(client, PRODUCE, 2, b"two") == b""
        with client_of(proxy) as client:
            assert ask(client, PRODUCE, 3, b"three") == b"heard three"
        assert proxy.dropped == 1


def test_a_cut_ends_every_connection_and_new_ones_work(server: int) -> None:
    with Proxy(server) as proxy:
        with client_of(proxy) as one, client_of(proxy) as other:
            assert (ask(one, FETCH, 1, b"a"), ask(other, FETCH, 1, b"b")) == (b"heard a", b"heard b")
            assert proxy.cut() == proxy.cuts == 2
            assert ask(one, FETCH, 2, b"a") == b""
        with client_of(proxy) as client:
            assert ask(client, FETCH, 1, b"c") == b"heard c"


def test_what_is_frozen_waits_and_is_said_later(server: int) -> None:
    with Proxy(server) as proxy, client_of(proxy) as client:
        heard: list[bytes] = []
        proxy.freeze()
        asking = threading.Thread(target=lambda: heard.append(ask(client, FETCH, 1, b"one")))
        asking.start()
        asking.join(0.2)
        assert heard == []
        proxy.thaw()
        wait_until(lambda: heard, 10, "the answer comes")
        asking.join()
        assert heard == [b"heard one"]


def test_a_server_that_is_down_is_a_closed_connection() -> None:
    with socket.create_server((HOST, 0)) as nobody:
        port = nobody.getsockname()[1]
    with Proxy(port) as proxy, client_of(proxy) as client:
        assert ask(client, FETCH, 1, b"one") == b""
