"""The client of one or several LLM servers: routes calls, queues them, and skips servers whose circuit is open.

The rules are in workers.core. It does not retry, and each call has one deadline. It never logs a prompt or an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Self

from workers.adapters.llm import wire
from workers.adapters.llm.endpoint import Endpoint, Slot
from workers.adapters.observability.metrics import WorkerMetrics
from workers.adapters.observability.trace_factory import traces_of
from workers.adapters.process.clock import monotonic_s
from workers.core.errors import Misconfigured, Refused, Retryable, Unavailable
from workers.core.generation.llm import Completion, CompletionRequest, PromptSize
from workers.core.resilience import load_balancer
from workers.core.resilience.circuit_breaker import BreakerRule
from workers.core.resilience.priority_queue import GHOST, ROOM_PER_SLOT, CallQueue, QueuedCall, ShedReason
from workers.core.stream.metrics import Metrics
from workers.settings import Settings

POLL_S = 2.0
SIZE_TIMEOUT_S = 5.0
log = logging.getLogger(__name__)


class NoModel:
    """Implements core.generation.llm.LanguageModel where the setting `llm` is `off`: it is never called."""

    name = "off"

    async def check(self) -> str:
        """Returns a description: there is nothing to check."""
        return "off: every text is a template"

    async def close(self) -> None:
        """Does nothing: nothing is open."""

    async def size(self, request: CompletionRequest) -> PromptSize | None:
        """Returns None: there is no model."""
        return None

    async def complete(self, request: CompletionRequest, timeout_s: float) -> Completion:
        """Raises Refused."""
        raise Refused("off", "the LLM is off")


class OpenAiModel:
    """Implements core.generation.llm.LanguageModel on the servers of `settings.llm.server` (resolved to URLs).

    Each server gets at most `llm_in_flight` calls; further calls wait here, the most important first, and are shed if their
    turn would come too late (except in a replay). Any number of calls may be made at once. Connects at the first call. Use it
    as an async context manager, or call `close`. With `breaker` False no server is ever taken out of rotation.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics | None = None,
        *,
        breaker: bool = True,
        now_s: Callable[[], float] = monotonic_s,
    ) -> None:
        metrics = metrics or WorkerMetrics()
        rule = BreakerRule(enabled=breaker)
        self._model = settings.llm.model
        self._traces = traces_of(settings)
        self._endpoints = [
            Endpoint(number, url, settings, rule, metrics, self._traces, now_s)
            for number, url in enumerate(settings.llm.urls)
        ]
        self._states = [endpoint.state for endpoint in self._endpoints]
        room = ROOM_PER_SLOT * settings.llm.in_flight * len(self._endpoints)
        self._line = CallQueue(room if settings.clock == "wall" else None)
        metrics.watch("llm_waiting", lambda: len(self._line))
        self._waiting: dict[int, tuple[str, asyncio.Future[Slot]]] = {}
        self._metrics = metrics
        self._now_s = now_s
        self._poller: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def name(self) -> str:
        """The name of the model; empty until it is known (from the settings, or from a server)."""
        return self._model or next((found for endpoint in self._endpoints if (found := endpoint.server.model)), "")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes all connections; calls in flight, queued calls and all later calls fail with Retryable. May be called twice."""
        self._closed = True
        for _, turn in self._waiting.values():
            if not turn.done():
                turn.set_exception(_closed())
        if self._poller is not None:
            self._poller.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._poller
        for endpoint in self._endpoints:
            await endpoint.server.close()
        await self._traces.close()

    async def check(self) -> str:
        """Verifies on every server, at the start, that calls will work (see ChatServer.check). Returns the model's name.

        Raises Misconfigured, naming the server, if one does not match the settings or serves a different model than the
        others; Unavailable if none answers. If only some of them do not answer, logs a warning: they are tried again later.
        """
        self._start()
        results = await asyncio.gather(
            *(endpoint.server.check() for endpoint in self._endpoints), return_exceptions=True
        )
        down: list[Unavailable] = []
        names: dict[str, str] = {}
        for endpoint, result in zip(self._endpoints, results, strict=True):
            if isinstance(result, str):
                names.setdefault(result, endpoint.server.address)
            elif isinstance(result, Unavailable):
                endpoint.open_circuit()
                down.append(result)
            else:
                raise result
        if len(names) > 1:
            listing = ", ".join(f"{name} at {address}" for name, address in names.items())
            raise Misconfigured(f"The LLM servers serve different models: {listing}.", "set ATTUNE_LLM_MODEL")
        if not names:
            raise Unavailable(" ".join(str(error.args[0]) for error in down), down[0].hint)
        for error in down:
            log.warning("%s The other LLM servers are used in the meantime.", error)
        return self.name

    async def size(self, request: CompletionRequest) -> PromptSize | None:
        """Returns the number of context tokens of a request from the first server that reports it; None if none does."""
        self._start()
        for endpoint in self._endpoints:
            with contextlib.suppress(Retryable):
                if (size := await endpoint.server.size(request, SIZE_TIMEOUT_S)) is not None:
                    return size
        return None

    async def complete(self, request: CompletionRequest, timeout_s: float) -> Completion:
        """See core.generation.llm.LanguageModel. `reason` of both errors is one of wire.RetryReason and RefusalReason.

        The wait for a free server counts towards `timeout_s`, and so does a query for the model's name, if neither the
        settings nor `check` named it.
        """
        if timeout_s <= 0:
            raise wire.retry("timeout", "no time is left")
        self._start()
        ends_at_s = self._now_s() + timeout_s
        turn = await self._turn(request, timeout_s)
        try:
            alone = len(self._endpoints) == 1
            return await turn.endpoint.call(turn, request, ends_at_s, self.name, alone=alone)
        finally:
            turn.endpoint.release(turn)
            self._next()

    async def poll(self) -> None:
        """Reads the load of every server once, and dispatches calls to those that now have room."""
        await asyncio.gather(*(endpoint.poll() for endpoint in self._endpoints))
        self._next()

    def _start(self) -> None:
        if self._closed:
            raise _closed()
        if self._poller is None:
            self._poller = asyncio.create_task(self._poll(), name="llm load")

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            try:
                await self.poll()
            except Exception:  # a bug of ours: the loads stay as they were, and the next poll may succeed
                log.exception("the load of the LLM servers cannot be read")

    async def _turn(self, request: CompletionRequest, left_s: float) -> Slot:
        """Returns a slot at a server, which the caller releases. Raises Retryable `unavailable` or `shed`."""
        now_s = self._now_s()
        if not self._line and (endpoint := self._choose(request.affinity, now_s)) is not None:
            return endpoint.take(now_s)
        if (pause_s := load_balancer.wait_s(self._states, now_s)) > 0:
            raise _unavailable(pause_s)
        place = self._line.join(request.priority, now_s, left_s)
        turn: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
        self._waiting[place.number] = request.affinity, turn
        self._next()
        try:
            async with asyncio.timeout(max(0.0, place.begins_by_s - now_s)):
                return await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                turn.result().endpoint.release(turn.result())  # assigned at the moment the wait ended
            if isinstance(error, TimeoutError):
                raise self._shed(request.priority, "waited") from error
            if isinstance(error, _Shed):
                raise self._shed(request.priority, error.why) from None
            raise
        finally:
            self._line.leave(place)
            del self._waiting[place.number]
            self._next()

    def _choose(self, affinity: str, now_s: float) -> Endpoint | None:
        state = load_balancer.choose(self._states, affinity, now_s)
        return None if state is None else self._endpoints[self._states.index(state)]

    def _next(self) -> None:
        """Assigns free servers to the calls whose turn it is, and sheds those whose turn would come too late."""
        if not self._waiting or self._closed:
            return
        now_s = self._now_s()
        if (pause_s := load_balancer.wait_s(self._states, now_s)) > 0:
            while (place := self._line.first()) is not None:
                self._end(place, _unavailable(pause_s))
            return
        while (place := self._line.first()) is not None:
            affinity, turn = self._waiting[place.number]
            endpoint = self._choose(affinity, now_s)
            if endpoint is None:
                break
            self._line.leave(place)
            if not turn.done():
                turn.set_result(endpoint.take(now_s))
        for place, why in self._line.shed(now_s, load_balancer.capacity(self._states, now_s)):
            self._end(place, _Shed(why))

    def _end(self, place: QueuedCall, error: Retryable) -> None:
        self._line.leave(place)
        turn = self._waiting[place.number][1]
        if not turn.done():
            turn.set_exception(error)

    def _shed(self, priority: int, why: ShedReason) -> Retryable:
        self._metrics.count("llm_shed", "ghost" if priority <= GHOST else str(priority), why)
        return wire.retry("shed", f"too many calls for the LLM ({why})")


class _Shed(Retryable):
    def __init__(self, why: ShedReason) -> None:
        super().__init__(why)
        self.why = why


def _unavailable(pause_s: float) -> Retryable:
    return wire.retry("unavailable", "no LLM server is available", pause_s)


def _closed() -> Retryable:
    return wire.retry("connection", "this client is closed")
