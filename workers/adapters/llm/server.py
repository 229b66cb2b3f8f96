"""The HTTP client of one OpenAI-compatible LLM server (llama.cpp, vLLM, or a hosted one) at one base URL.

It does not retry, each call has one deadline, and every answer has a size limit. It never logs a prompt or an answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import aiohttp

from workers.adapters.llm import wire
from workers.adapters.llm.vllm_load import MAX_PAGE_BYTES, parse_load
from workers.adapters.process.clock import monotonic_s
from workers.core.errors import Misconfigured, Refused, Retryable, Unavailable
from workers.core.generation.llm import ChatMessage, Completion, CompletionRequest, PromptSize
from workers.core.resilience.concurrency_limit import ServerLoad
from workers.secrets import Secret, reveal, shown, without_login

MAX_ANSWER_BYTES = 256 * 1024  # 4096 tokens are about 16 KB; a longer answer is cut off and counts as failed
IDLE_CONNECTION_S = 4.0  # both servers close after 5 s: we close first, so that no call uses a closing connection
CHECK_S = 10.0
NAMES_SHOWN = 20


class ChatServer:
    """The server at `base_url`; any number of calls in flight. Connects at the first call; `close` ends it.

    `model` "" means its only one, queried at the first call. `send_priority`: it is a vLLM that schedules by priority.
    """

    def __init__(self, base_url: str, model: str = "", api_key: str = "", *, send_priority: bool = False) -> None:
        bare, login = without_login(base_url)
        self._base_url = bare.rstrip("/").removesuffix("/v1")
        self.model = model
        self._authorization = Secret(f"Bearer {reveal(api_key)}" if api_key else login)
        self._send_priority = send_priority
        self._served: frozenset[str] | None = None
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    @property
    def address(self) -> str:
        """The base URL without anything that may be secret."""
        return shown(self._base_url)

    async def close(self) -> None:
        """Closes all connections; calls in flight and later ones fail with Retryable. May be called twice."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def check(self) -> str:
        """Verifies at the start that calls will work: resolves the model, then requests one token. Returns its name.

        Raises Misconfigured if the model is not served (and names those that are), the key is rejected or there is no such
        API; Unavailable if there is no answer within 10 s. A server that is merely busy passes.
        """
        try:
            await self._resolve(self.model, CHECK_S)
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
        return self.model

    async def find_model(self, expected: str, timeout_s: float) -> None:
        """Queries the model's name, unless it is already known. `expected` is the model of the other servers, or "".

        Raises Refused `unknown_model` if it serves no such model, or several.
        """
        if not self.model:
            try:
                await self._resolve(expected, timeout_s)
            except Misconfigured as error:
                raise Refused("unknown_model", str(error)) from error

    def serves(self, adapter: str) -> bool:
        """Returns whether the server's last list included this name."""
        return self._served is not None and adapter in self._served

    def forget(self, adapter: str) -> None:
        """Treats a name that the server has refused as not served, until the list contains it again."""
        self._served = (self._served or frozenset()) - {adapter}

    async def complete(
        self,
        request: CompletionRequest,
        timeout_s: float,
        adapter: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Completion:
        """Makes one call to its model, or to an adapter that it serves. See core.generation.llm.LanguageModel.

        `reason` of both errors is one of wire.RetryReason and RefusalReason. A timeout closes the connection, which makes the
        server abandon the call.
        """
        began_s = monotonic_s()
        payload = wire.encode_request(request, adapter or self.model, priority=self._send_priority)
        body = await self._call("POST", "/v1/chat/completions", payload, timeout_s, headers=headers)
        return wire.decode_reply(body, self.model, monotonic_s() - began_s, adapter)

    async def list_models(self, timeout_s: float) -> Sequence[wire.ServedModel] | None:
        """Returns the served models, adapters included; None if the server has no such list and the settings name a model."""
        try:
            models = wire.decode_models(await self._call("GET", "/v1/models", None, timeout_s))
        except Refused as error:
            if error.reason == "unknown_model" and self.model:
                return None
            raise
        self._served = frozenset(model.id for model in models)
        return models

    async def size(self, request: CompletionRequest, timeout_s: float) -> PromptSize | None:
        """Returns the size of a request by the server's own tokenizer; None if it has none. Raises Retryable."""
        chat = wire.encode_tokenize_chat(request.messages, self.model)
        try:
            size = wire.decode_size(await self._call("POST", "/tokenize", chat, timeout_s, MAX_PAGE_BYTES))
            if size is not None:
                return size
            applied = await self._call("POST", "/apply-template", chat, timeout_s, MAX_PAGE_BYTES)
            text = wire.encode_tokenize_text(applied)
            tokenized = await self._call("POST", "/tokenize", text, timeout_s, MAX_PAGE_BYTES)
            return wire.decode_size(tokenized, await self._call("GET", "/props", None, timeout_s, MAX_PAGE_BYTES))
        except Refused:
            return None

    async def load(self, timeout_s: float) -> ServerLoad | None:
        """Returns the load that its /metrics page reports; None if it reports none. Raises Refused if there is no such page."""
        return parse_load(await self._call("GET", "/metrics", None, timeout_s, MAX_PAGE_BYTES))

    async def _resolve(self, wanted: str, timeout_s: float) -> None:
        self.model = choose_model(wanted, await self.list_models(timeout_s), self.address)

    async def _call(
        self,
        method: str,
        path: str,
        payload: bytes | None,
        timeout_s: float,
        max_bytes: int = MAX_ANSWER_BYTES,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        if self._closed:
            raise wire.retry("connection", "this client is closed")
        if self._session is None:
            self._session = self._connect()
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._session.request(
                    method, self._base_url + path, data=payload, headers=headers or None, allow_redirects=False
                ) as response,
            ):
                body = await _read(response.content, max_bytes)
                if response.status != 200:
                    response_headers = response.headers
                    wire.raise_for_status(
                        response.status, body, response_headers.get("Retry-After"), response_headers.get("Date")
                    )
                return body
        except TimeoutError as error:
            raise wire.retry("timeout", f"no answer within {timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise wire.retry("connection", type(error).__name__) from error

    def _connect(self) -> aiohttp.ClientSession:
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if self._authorization:
            headers["Authorization"] = reveal(self._authorization)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_CONNECTION_S),  # the pool limits calls
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # each call has its own deadline
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # we request no compression, so a small body cannot decompress to a large one
        )

    def _unavailable(self, error: Retryable) -> Unavailable:
        hint = "start the server, or correct ATTUNE_LLM (`embedded` needs none)"
        return Unavailable(f"The LLM server at {self.address} does not answer ({error}).", hint)

    def _misconfigured(self, error: Refused) -> Misconfigured:
        if error.reason == "key":
            return Misconfigured(f"{self.address} rejects the API key.", "correct ATTUNE_LLM_API_KEY")
        if self._send_priority and error.reason == "bad_request":
            hint = "unset ATTUNE_LLM_VLLM_PRIORITY, or start the server with --scheduling-policy priority"
            return Misconfigured(f"{self.address} rejects a call with a priority.", hint)
        what = f"{self.address} rejects a call of model {self.model!r} ({error})."
        return Misconfigured(what, "is ATTUNE_LLM the base URL of an OpenAI-compatible server, without /v1?")


async def _read(content: aiohttp.StreamReader, max_bytes: int) -> bytes:
    """Reads the whole body. Raises Retryable `bad_answer` above `max_bytes`; the connection is then dropped."""
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > max_bytes:
            raise wire.unusable(f"longer than {max_bytes} bytes")
    return bytes(body)


def choose_model(wanted: str, served: Sequence[wire.ServedModel] | None, server: str) -> str:
    """Returns the model to request: the wanted one, or the only one if none is wanted (adapters do not count).

    `served` is None if the server has no list. Raises Misconfigured naming the served models.
    """
    if served is None or any(model.id == wanted for model in served):
        return wanted
    names = ", ".join(sorted(model.id for model in served)[:NAMES_SHOWN]) or "no model"
    if wanted:
        raise Misconfigured(f"llm_model = {wanted!r} is not served by {server}.", f"it serves: {names}")
    own = [model.id for model in served if model.parent is None]
    if len(own) != 1:
        raise Misconfigured(f"{server} serves {len(own)} models.", f"set ATTUNE_LLM_MODEL to one of: {names}")
    return own[0]
