"""Provides a TCP proxy in front of a Kafka broker that simulates network faults: cuts, delays, freezes, lost replies."""

from __future__ import annotations

import asyncio
import struct
import threading
from concurrent.futures import Future
from types import TracebackType
from typing import Self

from infra.kafka.properties import HOST

_PRODUCE, _END_TXN = 0, 26
#: A frame of the Kafka protocol is its size [bytes] and its content. A request starts with API key, version, correlation ID.
_SIZE, _REQUEST, _REPLY = struct.Struct(">i"), struct.Struct(">hhi"), struct.Struct(">i")
#: The reply to EndTxn, versions 0 to 2: correlation ID, throttle time, error.
_END_TXN_REPLY = struct.Struct(">iih")


class Proxy:
    """A context manager; serves in its own thread on `port`, in front of the server on the loopback port `upstream`.

    It counts the faults it injects: a case without any proves nothing. `cuts`: connections cut; `dropped`: replies to produce
    requests that the server sent and no client received; `held`: requests to end a transaction that were held back; `late`: the
    server's reply to each of them (a Kafka error code), after `release_end_txn`.
    """

    def __init__(self, upstream: int, port: int = 0) -> None:
        self.port = port
        self.cuts = self.dropped = self.held = 0
        self.late: list[int] = []
        self._upstream = upstream
        self._to_drop = self._to_hold = 0
        self._delay_s = self._end_txn_delay_s = 0.0
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._flows: asyncio.Event
        self._released: asyncio.Event
        self._stopped: asyncio.Event
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), name="proxy")
        self._started: Future[int] = Future()

    def __enter__(self) -> Self:
        self._thread.start()
        self.port = self._started.result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()
        self._loop.close()

    @property
    def bootstrap(self) -> str:
        """The host:port for clients."""
        return f"{HOST}:{self.port}"

    def cut(self) -> int:
        """Cuts every connection; returns their number."""
        return asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result()

    def delay(self, seconds: float) -> None:
        """Delays all following frames in both directions."""
        self._delay_s = seconds

    def freeze(self) -> None:
        """Stops forwarding without closing connections."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def thaw(self) -> None:
        """Resumes forwarding, beginning with the frames that wait."""
        self._loop.call_soon_threadsafe(self._flows.set)

    def drop_produce_replies(self, count: int) -> None:
        """Drops the next `count` replies to produce requests, and cuts their connections."""
        self._to_drop = count

    def hold_end_txn(self) -> None:
        """Holds back the next request to end a transaction, and cuts its client's connection."""
        self._loop.call_soon_threadsafe(self._released.clear)
        self._to_hold += 1

    def release_end_txn(self) -> None:
        """Forwards the requests that were held back."""
        self._loop.call_soon_threadsafe(self._released.set)

    def delay_end_txn(self, seconds: float) -> None:
        """Delays all following requests to end a transaction."""
        self._end_txn_delay_s = seconds

    async def _cut(self) -> int:
        links = list(self._links)
        for link in links:
            link.abort()
        self.cuts += len(links)
        return len(links)

    async def _serve(self) -> None:
        self._flows, self._stopped, self._released = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._flows.set()
        server = await asyncio.start_server(self._connected, HOST, self.port, reuse_address=True)
        self._started.set_result(server.sockets[0].getsockname()[1])
        await self._stopped.wait()
        server.close()
        await self._cut()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection(HOST, self._upstream)
        except OSError:  # the server is down, so the client's connection is closed
            writer.transport.abort()
            return
        link = _Link(writer, server_writer)
        self._links.add(link)
        try:
            await asyncio.gather(self._requests(link, reader), self._replies(link, server_reader))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            link.abort()
            self._links.discard(link)

    async def _requests(self, link: _Link, reader: asyncio.StreamReader) -> None:
        while True:
            frame = await _frame(reader)
            api, _, correlation = _REQUEST.unpack_from(frame)
            if api == _PRODUCE:
                link.produced.add(correlation)
            if api == _END_TXN and self._to_hold:
                self._to_hold -= 1
                link.late = correlation
                link.client.transport.abort()
                self.held += 1
                await self._released.wait()
            elif api == _END_TXN and self._end_txn_delay_s:
                await asyncio.sleep(self._end_txn_delay_s)
            await self._pass(frame, link.server)
            if link.late is not None:  # its client has disconnected, but the reply is still read
                await self._stopped.wait()

    async def _replies(self, link: _Link, reader: asyncio.StreamReader) -> None:
        while True:
            frame = await _frame(reader)
            (correlation,) = _REPLY.unpack_from(frame)
            if correlation in link.produced:
                link.produced.discard(correlation)
                if self._to_drop > 0:
                    self._to_drop -= 1
                    self.dropped += 1
                    raise ConnectionResetError("dropped")
            if correlation == link.late:
                self.late.append(_END_TXN_REPLY.unpack_from(frame)[2])
                raise ConnectionResetError("its client has disconnected")
            await self._pass(frame, link.client)

    async def _pass(self, frame: bytes, writer: asyncio.StreamWriter) -> None:
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        await self._flows.wait()
        writer.write(_SIZE.pack(len(frame)) + frame)
        await writer.drain()


class _Link:
    """A client's connection, and the proxy's to the server. `produced`: produce requests without a reply; `late`: a request that
    was held back.
    """

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client, self.server = client, server
        self.produced: set[int] = set()
        self.late: int | None = None

    def abort(self) -> None:
        """Resets both ends."""
        for writer in (self.client, self.server):
            writer.transport.abort()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    (size,) = _SIZE.unpack(await reader.readexactly(_SIZE.size))
    return await reader.readexactly(size)
