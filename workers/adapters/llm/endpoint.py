"""The state of one LLM server: applies the result of each call to its breaker, its limit and the metrics."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import msgspec

from workers.adapters.llm import wire
from workers.adapters.llm.server import ChatServer
from workers.adapters.observability.traces import Traces
from workers.core.errors import Refused, Retryable
from workers.core.generation.llm import Completion, CompletionRequest
from workers.core.resilience.circuit_breaker import BreakerRule, State
from workers.core.resilience.load_balancer import EndpointState
from workers.core.stream.metrics import GaugeName, Metrics
from workers.secrets import without_login
from workers.settings import Settings

#: A timeout does not count against a server if the call had less time than this, or less than successful calls take [s].
MIN_TELLING_TIMEOUT_S = 1.0
#: Interval at which a server without vLLM's metrics page, or whose list lacks an adapter, is queried again [s].
RETRY_INTERVAL_S = 60.0
#: Interval at which the load of a server that does not answer is queried again [s].
_LOAD_PAUSE_S = 10.0
_LOAD_TIMEOUT_S = 2.0
#: Refusals caused by the server and not by the call.
_ITS_FAULT = ("key", "unknown_model")
_STATES: dict[State, int] = {"closed": 0, "half_open": 1, "open": 2}
_LOAD_GAUGES: tuple[GaugeName, ...] = ("llm_server_running", "llm_server_waiting", "llm_server_cache")


class Endpoint:
    """The server at position `number` (from 0) of the setting `llm`: its metrics label is that number, never its URL."""

    def __init__(
        self,
        number: int,
        url: str,
        settings: Settings,
        rule: BreakerRule,
        metrics: Metrics,
        traces: Traces,
        now_s: Callable[[], float],
    ) -> None:
        self.server = ChatServer(
            url, settings.llm.model, settings.llm.api_key, send_priority=settings.llm.vllm_priority
        )
        self.state = EndpointState(without_login(url)[0], settings.llm.in_flight, rule)
        self._label = str(number)
        self._metrics = metrics
        self._traces = traces
        self._now_s = now_s
        self._load_at_s = self._listed_at_s = -math.inf
        self._list_at_s = math.inf  # only if an adapter is missing
        metrics.watch("llm_endpoint_state", lambda: _STATES[self.state.breaker.state], self._label)
        metrics.watch("llm_endpoint_limit", lambda: self.state.limiter.limit, self._label)
        metrics.watch("llm_endpoint_in_flight", lambda: self.state.in_flight, self._label)

    def take(self, now_s: float) -> Slot:
        """Counts a call that is about to begin; `release` ends it."""
        token = self.state.breaker.begin(now_s)
        self.state.in_flight += 1
        return Slot(self, token)

    def release(self, turn: Slot) -> None:
        """Ends a call, whether or not it was made."""
        self.state.in_flight -= 1
        self.state.breaker.abandoned(turn.token, self._now_s())  # no effect if the call had a result

    def open_circuit(self) -> None:
        """Takes a server that is known to fail out of rotation; later a single trial call checks whether it works again."""
        self.state.breaker.trip(self._now_s())

    async def call(
        self, turn: Slot, request: CompletionRequest, ends_at_s: float, expected: str, *, alone: bool
    ) -> Completion:
        """Makes one call, until `ends_at_s` at most; records what it shows about the server.

        `expected` is the model of the other servers, or "". If `alone`, no other server could take the call, so a refusal is
        final; otherwise a refusal that is the server's fault (its key, its model) opens the breaker and is Retryable.
        """
        began_s, model, adapter = self._now_s(), expected, ""
        trace = self._traces.begin(request, model, self.server.address)
        try:
            await self.server.find_model(expected, ends_at_s - began_s)
            adapter = self._adapter(request.model, began_s)
            model = adapter or self.server.model
            called_at_s = self._now_s()
            completion = await self.server.complete(request, ends_at_s - called_at_s, adapter, trace.headers)
        except Retryable as error:
            self._observe(model, began_s, error.reason)
            trace.ended(model, None, error.reason)
            self._failed(turn, error, ends_at_s - began_s)
            raise
        except Refused as error:
            self._observe(model, began_s, error.reason)
            trace.ended(model, None, error.reason)
            if adapter and error.reason == "unknown_model":
                self.server.forget(adapter)
                self._answered(turn, None)
                raise wire.retry("server_error", "the adapter is no longer served") from error
            if error.reason in _ITS_FAULT and not alone:
                self.open_circuit()
                raise wire.retry("unavailable", f"this server refuses ({error.reason})") from error
            self._answered(turn, None)  # the server works, for other calls
            raise
        except asyncio.CancelledError:  # the worker stops, or has lost the partition
            trace.ended(model, None, "cancelled")
            raise
        self._observe(model, began_s, "")
        trace.ended(model, completion, "")
        self._metrics.observe("llm_tokens", completion.usage.input_tokens, model, "input")
        self._metrics.observe("llm_tokens", completion.usage.output_tokens, model, "output")
        self._answered(turn, self._now_s() - called_at_s)
        return completion

    async def poll(self) -> None:
        """Reads the server's own queue, and its list of models if an adapter was missing. Tolerates any answer."""
        now_s = self._now_s()
        try:
            if now_s >= self._list_at_s:
                self._list_at_s, self._listed_at_s = math.inf, now_s
                await self.server.list_models(_LOAD_TIMEOUT_S)
            if now_s >= self._load_at_s:
                await self._read_load(now_s)
        except Refused:
            self._forget_load(now_s + RETRY_INTERVAL_S)
        except Retryable:  # calls are better evidence of whether it works
            self._forget_load(now_s + _LOAD_PAUSE_S)

    async def _read_load(self, now_s: float) -> None:
        load = await self.server.load(_LOAD_TIMEOUT_S)
        if load is None:
            self._forget_load(now_s + RETRY_INTERVAL_S)
            return
        self.state.limiter.load_reported(load, now_s, self.state.in_flight)
        values = (load.running, load.waiting, math.nan if load.kv_cache_usage is None else load.kv_cache_usage)
        for gauge, value in zip(_LOAD_GAUGES, values, strict=True):
            self._metrics.gauge(gauge, value, self._label)

    def _forget_load(self, until_s: float) -> None:
        self._load_at_s = until_s
        for gauge in _LOAD_GAUGES:
            self._metrics.gauge(gauge, math.nan, self._label)

    def _adapter(self, wanted: str, now_s: float) -> str:
        """Returns the adapter if it is served; otherwise "", which is counted, and the list is read again soon."""
        if not wanted or self.server.serves(wanted):
            return wanted
        self._metrics.count("llm_adapter_missing", self._label)
        self._list_at_s = min(self._list_at_s, max(now_s, self._listed_at_s + RETRY_INTERVAL_S))
        return ""

    def _answered(self, turn: Slot, latency_s: float | None) -> None:
        now_s = self._now_s()
        if self.state.breaker.succeeded(turn.token, now_s):
            self.state.limiter.restarted()
        if latency_s is not None:
            self.state.limiter.succeeded(now_s, latency_s, self.state.in_flight)

    def _failed(self, turn: Slot, error: Retryable, given_s: float) -> None:
        now_s, limiter = self._now_s(), self.state.limiter
        timed_out = error.reason == "timeout"
        if timed_out and given_s < max(MIN_TELLING_TIMEOUT_S, limiter.service_s or 0.0):
            return
        if timed_out or error.reason in ("busy", "server_error"):
            limiter.overloaded(now_s)
        self.state.breaker.failed(turn.token, now_s, error.retry_after_s)

    def _observe(self, model: str, began_s: float, error_type: str) -> None:
        self._metrics.observe("llm_seconds", self._now_s() - began_s, model, error_type)
        self._metrics.count("llm_calls", self._label, error_type)


class Slot(msgspec.Struct, frozen=True, eq=False):
    """One call's slot at a server. `token` identifies the call's start for the breaker."""

    endpoint: Endpoint
    token: int
