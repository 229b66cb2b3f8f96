"""Provides a fake LLM server on loopback: it passes the contract suite of the real servers, and fails in every way on demand."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from enum import StrEnum, auto
from types import TracebackType
from typing import Any, Self

from aiohttp import web

MODEL = "fake-1"
CONTEXT_TOKENS = 2048
SECONDS_PER_TOKEN = 0.0005
WORDS = ("hub", "lamp", "calm", "warm", "home", "light", "plug", "sensor", "evening", "quiet")


class Fault(StrEnum):
    """The behaviours of the fake for chat calls."""

    GOOD = auto()
    EMPTY = auto()
    """200 without a body."""
    EMPTY_TEXT = auto()
    """A chat reply whose text is empty."""
    HTML = auto()
    """An HTML page of a gateway, with status 200."""
    TRUNCATED = auto()
    """Half of a chat reply, sent as a complete response."""
    CUT = auto()
    """Half of a chat reply, then the connection closes."""
    WRONG_SHAPE = auto()
    """JSON, but not a chat reply."""
    NAN = auto()
    """A chat reply with a number that is not valid JSON."""
    HUGE = auto()
    """10 MB of text."""
    ENDLESS = auto()
    """An endless response."""
    SLOW = auto()
    """Nothing until `release`."""
    STUCK = auto()
    """Headers and a first byte, then nothing until `release`."""
    BUSY = auto()
    """429 with Retry-After: 7."""
    BROKEN = auto()
    """500."""
    RESET = auto()
    """The connection is reset."""


class FakeLlm:
    """A context manager; serves in its own thread. `fault` may be set at any time; `requests` contains the body of every chat
    call, `headers` its headers. While `mix` has faults, each call gets the next one, and each good answer the next of `texts`.

    `arrived` is set by a chat call, `hung_up` when a client disconnects before its answer. `text` is the text of good answers
    (None: some words); `page` the content of /metrics (None: not found). An answer takes `latency_s` (None: by its length), and
    at most `slots` are processed concurrently, the others wait, like in a real server. `adapters` are listed as in vLLM.
    `context_tokens` is the context that its tokenizer reports (None: it has no tokenizer).
    """

    def __init__(
        self,
        api_key: str = "",
        models: tuple[str, ...] = (MODEL,),
        *,
        adapters: tuple[str, ...] = (),
        latency_s: float | None = None,
        slots: int = 1_000,
        port: int = 0,
    ) -> None:
        self.fault = Fault.GOOD
        self.mix: Iterator[Fault] = iter(())
        self.text: str | None = None
        self.texts: Iterator[str] = iter(())
        self.page: str | None = None
        self.adapters = adapters
        self.context_tokens: int | None = CONTEXT_TOKENS
        self.requests: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.max_concurrent = 0
        self._concurrent = 0
        self._latency_s = latency_s
        self._slots = asyncio.Semaphore(slots)
        self._port = port
        self.arrived = threading.Event()
        self.hung_up = threading.Event()
        self.base_url = ""
        self._api_key = api_key
        self._models = models
        self._canned: tuple[int, bytes, dict[str, str]] | None = None
        self._loop = asyncio.new_event_loop()
        self._released: asyncio.Event
        self._stopped: asyncio.Event
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), name="fake-llm")
        self._started: Future[str] = Future()

    def __enter__(self) -> Self:
        self._thread.start()
        self.base_url = self._started.result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()
        self._loop.close()

    def reply_with(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """Answers all following chat calls with this response."""
        self._canned = (status, body, dict(headers or {}))

    def release(self) -> None:
        """Continues the calls that SLOW and STUCK hold."""
        self._loop.call_soon_threadsafe(self._released.set)

    def hold(self) -> None:
        """Lets SLOW and STUCK hold calls again."""
        self.arrived.clear()
        self._loop.call_soon_threadsafe(self._released.clear)

    async def _serve(self) -> None:
        self._released, self._stopped = asyncio.Event(), asyncio.Event()
        app = web.Application(client_max_size=1 << 20)
        app.router.add_get("/health", self._health)
        app.router.add_get("/v1/models", self._list_models)
        app.router.add_get("/metrics", self._show_metrics)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/tokenize", self._tokenize)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self._port, reuse_address=True).start()
        self._started.set_result(f"http://127.0.0.1:{runner.addresses[0][1]}")
        await self._stopped.wait()
        self._released.set()
        await runner.cleanup()

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _list_models(self, request: web.Request) -> web.Response:
        if not self._has_valid_key(request):
            return _error(401, "invalid key")
        models: list[dict[str, str | None]] = [{"id": name, "parent": None} for name in self._models]
        models += [{"id": name, "parent": self._models[0]} for name in self.adapters]
        return web.json_response({"object": "list", "data": models})

    async def _show_metrics(self, _: web.Request) -> web.Response:
        return web.Response(status=404) if self.page is None else web.Response(text=self.page)

    async def _tokenize(self, request: web.Request) -> web.Response:
        if self.context_tokens is None:
            return web.Response(status=404)
        return web.json_response(
            {"count": _count(await request.json()), "max_model_len": self.context_tokens, "tokens": []}
        )

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        self.headers.append(request.headers)
        self.arrived.set()
        if self._canned is not None:
            status, content, headers = self._canned
            return web.Response(status=status, body=content, headers=headers)
        if not self._has_valid_key(request):
            return _error(401, "invalid key")
        if body["model"] not in self._models + self.adapters:
            return _error(404, "the model does not exist")
        self._concurrent += 1
        self.max_concurrent = max(self.max_concurrent, self._concurrent)
        try:
            return await self._break(request, body)
        except asyncio.CancelledError:
            self.hung_up.set()
            raise
        finally:
            self._concurrent -= 1

    async def _good(self, body: dict[str, Any]) -> web.Response:
        async with self._slots:
            if self._latency_s is not None:
                await asyncio.sleep(self._latency_s)
            if (text := next(self.texts, self.text)) is not None:
                return web.json_response(_reply(body, text, "stop", len(text.split())))
            return await _answer(body)

    def _has_valid_key(self, request: web.Request) -> bool:
        return not self._api_key or request.headers.get("Authorization") == f"Bearer {self._api_key}"

    async def _break(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        fault = next(self.mix, self.fault)
        match fault:
            case Fault.GOOD:
                return await self._good(body)
            case Fault.EMPTY:
                return web.Response()
            case Fault.EMPTY_TEXT:
                return web.json_response(_reply(body, "", "stop", 0))
            case Fault.HTML:
                return web.Response(text="<html><body>502</body></html>", content_type="text/html")
            case Fault.TRUNCATED:
                return web.Response(body=json.dumps(_reply(body, "warm light", "stop", 2)).encode()[:-20])
            case Fault.WRONG_SHAPE:
                return web.json_response({"choices": [{"text": 7}]})
            case Fault.NAN:
                whole = json.dumps(_reply(body, "warm light", "stop", 2))
                return web.Response(text=whole.replace('"completion_tokens": 2', '"completion_tokens": NaN'))
            case Fault.HUGE:
                return web.json_response(_reply(body, "x" * 10_000_000, "stop", 2))
            case Fault.BUSY:
                return web.Response(status=429, headers={"Retry-After": "7"})
            case Fault.BROKEN:
                return _error(500, "internal")
            case Fault.SLOW:
                await self._released.wait()
                return await self._good(body)
            case Fault.RESET:
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            case Fault.CUT | Fault.ENDLESS | Fault.STUCK:
                return await self._stream(request, fault)

    async def _stream(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        response = web.StreamResponse()
        if fault is Fault.CUT:
            response.content_length = 1000
        await response.prepare(request)
        await response.write(b'{"choices": [')
        if fault is Fault.CUT:
            assert request.transport is not None
            request.transport.close()
        elif fault is Fault.STUCK:
            await self._released.wait()
        else:
            while True:
                await response.write(b" " * 4096)
        return response


async def _answer(body: Mapping[str, Any]) -> web.Response:
    prompt_tokens = _count(body)
    if prompt_tokens + body["max_tokens"] > CONTEXT_TOKENS:
        return _error(400, f"the request exceeds the available context size ({CONTEXT_TOKENS} tokens)")
    schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
    choices = [_choice(body, schema, sample) for sample in range(body.get("n", 1))]
    await asyncio.sleep(max(len(tokens) for tokens, _ in choices) * SECONDS_PER_TOKEN)
    reply = _reply(body, "", "stop", sum(len(tokens) for tokens, _ in choices))
    reply["choices"] = [
        {"index": index, "message": {"role": "assistant", "content": " ".join(tokens)}, "finish_reason": end}
        for index, (tokens, end) in enumerate(choices)
    ]
    return web.json_response(reply)


def _choice(body: Mapping[str, Any], schema: Mapping[str, Any] | None, sample: int) -> tuple[list[str], str]:
    """Returns (tokens, finish reason) of one of the samples of a call; without a temperature, all are the same."""
    drawn = [body["messages"], body.get("seed"), body["temperature"], sample if body["temperature"] else 0]
    digest = hashlib.sha256(json.dumps(drawn).encode()).digest()
    if schema is None:
        tokens = [WORDS[byte % len(WORDS)] for byte in digest] * 32
    else:
        tokens = json.dumps(_instance(schema, digest)).split(" ")
    return tokens[: body["max_tokens"]], "stop" if len(tokens) <= body["max_tokens"] else "length"


def _instance(schema: Mapping[str, Any], digest: bytes) -> object:
    """Returns the smallest value that matches the subset of JSON Schema that prompts use."""
    if "enum" in schema:
        return schema["enum"][digest[0] % len(schema["enum"])]
    match schema.get("type"):
        case "object":
            return {
                name: _instance(part, digest[i + 1 :]) for i, (name, part) in enumerate(schema["properties"].items())
            }
        case "array":
            return [_instance(schema["items"], digest)] * schema.get("minItems", 0)
        case "string":
            word = WORDS[digest[0] % len(WORDS)]
            return (word * (schema.get("minLength", 1) // len(word) + 1))[: schema.get("maxLength")]
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case other:
            raise NotImplementedError(f"the fake does not support schemas of type {other!r}")


def _count(body: Mapping[str, Any]) -> int:
    return sum(len(message["content"].split()) + 4 for message in body["messages"])


def _reply(body: Mapping[str, Any], text: str, finish_reason: str, tokens: int) -> dict[str, Any]:
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "model": body["model"],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": _count(body), "completion_tokens": tokens, "total_tokens": _count(body) + tokens},
    }


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"code": status, "message": message, "type": "error"}}, status=status)
