"""The client of an OpenAI-compatible LLM server (llama.cpp's, vLLM, or a hosted one): one instance, one base URL.

No retries inside, one deadline a call, a bound on every answer. No text, neither prompt nor answer, is ever logged.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

import aiohttp

from workers.adapters import llm_wire as wire
from workers.adapters.clock import monotonic_s
from workers.errors import Misconfigured, Refused, Retryable, Unavailable
from workers.ports import ChatMessage, Completion, CompletionRequest
from workers.settings import Settings

MAX_ANSWER_BYTES = 256 * 1024  # 4096 tokens are about 16 KB; what is longer is cut off and counts as a failed answer
IDLE_CONNECTION_S = 4.0  # both servers close after 5 s: we close first, so that no call meets a closing connection
CHECK_S = 10.0
NAMES_SHOWN = 20


class NoModel:
    """Implements ports.LanguageModel where the setting `llm` is `off`: it is never asked."""

    name = "off"

    async def check(self) -> str:
        """There is nothing to prove."""
        return "off: every text is a template"

    async def close(self) -> None:
        """Nothing is open."""

    async def complete(self, request: CompletionRequest, timeout_s: float) -> Completion:
        """Raises Refused."""
        raise Refused("off", "the LLM is off")


class OpenAiModel:
    """Implements ports.LanguageModel on the server at `settings.llm` (a URL by now); any number of calls in flight.

    Connects at the first call. An async context manager; `close` ends it just as well.
    """

    def __init__(self, settings: Settings) -> None:
        self._base_url = settings.llm.rstrip("/").removesuffix("/v1")
        self._model = settings.llm_model
        self._api_key = settings.llm_api_key
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    @property
    def name(self) -> str:
        """The model that answers; empty until it is known (named by the settings, or by the server)."""
        return self._model

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes all connections; calls in flight, and later ones, end with Retryable. May be called twice."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def check(self) -> str:
        """Proves at the start that calls will work: resolves the model, then asks it for one token. Returns its name.

        Raises Misconfigured when the model is not served (names those that are), the key is refused or this is no such
        API; Unavailable when nobody answers within 10 s. A server that is merely busy passes.
        """
        try:
            self._model = choose_model(self._model, await self._models(CHECK_S), shown(self._base_url))
        except Retryable as error:
            raise self._unavailable(error) from error
        except Refused as error:
            raise self._misconfigured(error) from error
        try:
            await self.complete(CompletionRequest(messages=(ChatMessage("user", "Hi"),), max_tokens=1), CHECK_S)
        except Retryable as error:
            if error.reason == "connection":
                raise self._unavailable(error) from error
        except Refused as error:
            raise self._misconfigured(error) from error
        return self._model

    async def complete(self, request: CompletionRequest, timeout_s: float) -> Completion:
        """See ports.LanguageModel. `reason` of both errors is one of llm_wire.RetryReason and RefusalReason.

        A timeout hangs up, which makes the server give up the call. If neither settings nor `check` named the model,
        the server is asked first, within the same time.
        """
        started_s = monotonic_s()
        if not self._model:
            try:
                self._model = choose_model("", await self._models(timeout_s), shown(self._base_url))
            except Misconfigured as error:
                raise Refused("unknown_model", str(error)) from error
        payload = wire.encode_request(request, self._model)
        left_s = timeout_s - (monotonic_s() - started_s)
        body = await self._call("POST", "/v1/chat/completions", payload, left_s)
        return wire.decode_reply(body, self._model, monotonic_s() - started_s)

    async def _models(self, timeout_s: float) -> list[str] | None:
        """The names served; None when the server has no such list and the settings name a model."""
        try:
            return wire.decode_models(await self._call("GET", "/v1/models", None, timeout_s))
        except Refused as error:
            if error.reason == "unknown_model" and self._model:
                return None
            raise

    async def _call(self, method: str, path: str, payload: bytes | None, timeout_s: float) -> bytes:
        if self._closed:
            raise wire.retry("connection", "this client is closed")
        if self._session is None:
            self._session = self._connect()
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._session.request(method, self._base_url + path, data=payload, allow_redirects=False) as response,
            ):
                body = await _read(response.content)
                if response.status != 200:
                    wire.raise_for_status(response.status, body, response.headers.get("Retry-After"))
                return body
        except TimeoutError as error:
            raise wire.retry("timeout", f"no answer within {timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise wire.retry("connection", type(error).__name__) from error

    def _connect(self) -> aiohttp.ClientSession:
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_CONNECTION_S),  # the caller limits calls
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # each call has its own deadline
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # nothing compressed was asked for, so a small body cannot unpack to a large one
        )

    def _unavailable(self, error: Retryable) -> Unavailable:
        cure = "start the server, or correct ATTUNE_LLM (`embedded` needs none)"
        return Unavailable(f"The LLM server at {shown(self._base_url)} does not answer ({error}).", cure)

    def _misconfigured(self, error: Refused) -> Misconfigured:
        if error.reason == "key":
            return Misconfigured(f"{shown(self._base_url)} refuses the key.", "set ATTUNE_LLM_API_KEY")
        what = f"{shown(self._base_url)} refuses a call of model {self._model!r} ({error})."
        return Misconfigured(what, "is ATTUNE_LLM the base URL of an OpenAI-compatible server, without /v1?")


async def _read(content: aiohttp.StreamReader) -> bytes:
    """The whole body. Raises Retryable `bad_answer` above MAX_ANSWER_BYTES; the connection is then dropped."""
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise wire.unusable(f"longer than {MAX_ANSWER_BYTES} bytes")
    return bytes(body)


def choose_model(wanted: str, served: list[str] | None, server: str) -> str:
    """The model to ask for: the wanted one, or the only one if none is wanted. `served` None: the server does not say.

    Raises Misconfigured naming what is served.
    """
    if served is None or wanted in served:
        return wanted
    names = ", ".join(sorted(served)[:NAMES_SHOWN]) or "no model"
    if wanted:
        raise Misconfigured(f"llm_model = {wanted!r} is not served by {server}.", f"it serves: {names}")
    if len(served) != 1:
        raise Misconfigured(f"{server} serves {len(served)} models.", f"set ATTUNE_LLM_MODEL to one of: {names}")
    return served[0]


def shown(url: str) -> str:
    """The URL without user and password.

    >>> shown("https://me:secret@llm.example/")
    'https://llm.example/'
    """
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
