"""Encodes and decodes the bytes of an OpenAI-compatible chat API: requests, answers and refusals; no network access.

An error message repeats nothing that a server sends except a bounded error code: error bodies may quote prompts.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, NoReturn, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from workers.core.errors import Refused, Retryable
from workers.core.generation.llm import ChatMessage, Completion, CompletionRequest, CompletionUsage, PromptSize
from workers.core.resilience.priority_queue import HIGHEST
from workers.delivery.retry_after import retry_after_s

S = TypeVar("S", bound=Struct)

# The reasons why an answer is missing: label values of the metric.
RetryReason = Literal["timeout", "connection", "busy", "server_error", "bad_answer", "unavailable", "shed"]
RefusalReason = Literal["too_long", "bad_request", "unknown_model", "key", "filtered"]

SEED_MASK = 0x7FFF_FFFF  # llama.cpp takes 32 bits, and treats 2**32 - 1 as "no seed"
RETRY_AFTER_MAX_S = 3600.0
_TOO_LONG = re.compile(rb"context[ _](?:length|size|window)|max_model_len|too long", re.IGNORECASE)


class _JsonSchema(Struct, frozen=True):
    schema: object
    name: str = "answer"
    strict: bool = True


class _ResponseFormat(Struct, frozen=True):
    json_schema: _JsonSchema
    type: str = "json_schema"


class _ChatRequest(Struct, frozen=True, kw_only=True):
    model: str
    messages: tuple[ChatMessage, ...]
    max_tokens: int
    temperature: float
    top_p: float
    frequency_penalty: float | UnsetType = UNSET
    n: int | UnsetType = UNSET
    seed: int | UnsetType = UNSET
    response_format: _ResponseFormat | UnsetType = UNSET
    priority: int | UnsetType = UNSET


class _Message(Struct):
    content: str | None = None


class _Choice(Struct):
    message: _Message
    finish_reason: str | None = None


class _Usage(Struct):
    prompt_tokens: Annotated[int, Meta(ge=0)] = 0
    completion_tokens: Annotated[int, Meta(ge=0)] = 0


class _ChatReply(Struct):
    choices: Annotated[list[_Choice], Meta(min_length=1)]
    model: str = ""
    usage: _Usage | None = None


class ServedModel(Struct, frozen=True):
    """One model of GET /v1/models; vLLM names the `parent` of a LoRA adapter."""

    id: str
    parent: str | None = None


class _TokenizeChat(Struct, frozen=True):
    """The request of vLLM's tokenizer."""

    model: str
    messages: tuple[ChatMessage, ...]


class _TokenizeText(Struct, frozen=True):
    """The request of llama.cpp's tokenizer."""

    content: str
    add_special: bool = True
    parse_special: bool = True


class _Tokens(Struct):
    """The answer of either tokenizer: vLLM counts the tokens and names its context."""

    tokens: list[int] = []
    count: int = 0
    max_model_len: int = 0


class _Applied(Struct):
    prompt: str


class _Slots(Struct):
    n_ctx: Annotated[int, Meta(ge=1)]


class _Properties(Struct):
    """llama.cpp's /props: the context of one call."""

    default_generation_settings: _Slots


class _ModelList(Struct):
    data: list[ServedModel]


#: Finish reasons of usable answers, the better one first; below, the names that other servers use for them (TGI: eos_token).
_ENDS = ("stop", "length")
_OTHER_ENDS = {
    **dict.fromkeys(("eos_token", "stop_sequence", "eos", "end_turn"), "stop"),
    **dict.fromkeys(("max_tokens", "max_new_tokens"), "length"),
}
# msgspec's errors and invalid UTF-8, neither of which quotes the text; and JSON nested thousands deep.
_UNDECODABLE = (ValueError, RecursionError)
_encoder = msgspec.json.Encoder()
_reply_decoder = msgspec.json.Decoder(_ChatReply)
_models_decoder = msgspec.json.Decoder(_ModelList)


def encode_request(request: CompletionRequest, model: str, *, priority: bool = False) -> bytes:
    """Returns the body of POST /v1/chat/completions. Only the low 31 bits of the seed are used.

    With `priority` it includes the request's own priority, in the order of vLLM's scheduler: 0 is served first. Raises
    Refused `bad_request` if a message or the schema cannot be encoded as JSON.
    """
    schema = request.schema
    body = _ChatRequest(
        model=model,
        messages=request.messages,
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        frequency_penalty=request.frequency_penalty or UNSET,
        n=request.samples if request.samples > 1 else UNSET,
        seed=UNSET if request.seed is None else request.seed & SEED_MASK,
        response_format=UNSET if schema is None else _ResponseFormat(_JsonSchema(schema)),
        priority=HIGHEST - request.priority if priority else UNSET,
    )
    try:
        return _encoder.encode(body)
    except (TypeError, ValueError) as error:
        raise Refused("bad_request", f"the request cannot be encoded as JSON ({type(error).__name__})") from error


def decode_reply(body: bytes, model: str, latency_s: float, adapter: str = "") -> Completion:
    """Returns the choices of a chat reply, complete texts before those that were cut off.

    `model` is used if the server does not name its own, or names the adapter.

    Raises Retryable `bad_answer` if there is no usable text, Refused `filtered` if the server withheld it.
    """
    try:
        reply = _reply_decoder.decode(body)
    except _UNDECODABLE as error:
        raise unusable(f"not a chat reply ({type(error).__name__}, {len(body)} bytes)") from error
    texts = [
        (choice.message.content, reason)
        for reason in _ENDS
        for choice in reply.choices
        if _end(choice) == reason and choice.message.content
    ]
    if not texts:
        raise _no_text_error(reply.choices[0])
    (text, finish_reason), *others = texts
    usage = reply.usage or _Usage()
    return Completion(
        text=text,
        others=tuple(other for other, reason in others if reason == finish_reason),
        model=model if adapter else reply.model[:200] or model,
        adapter=adapter,
        finish_reason=finish_reason,
        usage=CompletionUsage(input_tokens=usage.prompt_tokens, output_tokens=usage.completion_tokens),
        latency_s=latency_s,
    )


def _end(choice: _Choice) -> str:
    """Returns the finish reason in OpenAI's terms; an unknown one is returned unchanged, and its answer is not used."""
    reason = (choice.finish_reason or "").lower()
    return _OTHER_ENDS.get(reason, reason)


def _no_text_error(choice: _Choice) -> Retryable | Refused:
    if choice.finish_reason == "content_filter":
        return Refused("filtered", "the server withheld the answer")
    return unusable("the answer is empty" if _end(choice) in _ENDS else "the answer did not finish")


def decode_models(body: bytes) -> list[ServedModel]:
    """Returns the models in a reply of GET /v1/models. Raises Retryable `bad_answer` if it is not such a list."""
    try:
        return _models_decoder.decode(body).data
    except _UNDECODABLE as error:
        raise unusable(f"not a list of models ({type(error).__name__}, {len(body)} bytes)") from error


def encode_tokenize_chat(messages: tuple[ChatMessage, ...], model: str) -> bytes:
    """Returns the body of vLLM's POST /tokenize, and of llama.cpp's POST /apply-template."""
    return _encoder.encode(_TokenizeChat(model, messages))


def encode_tokenize_text(applied: bytes) -> bytes:
    """Returns the body of llama.cpp's POST /tokenize for an answer of its /apply-template. Raises Retryable `bad_answer`."""
    return _encoder.encode(_TokenizeText(_decoded(_Applied, applied).prompt))


def decode_size(tokenized: bytes, properties: bytes | None = None) -> PromptSize | None:
    """Returns the size in vLLM's answer (None if it is not vLLM's), or in llama.cpp's together with its /props.

    Raises Retryable `bad_answer`.
    """
    found = _decoded(_Tokens, tokenized)
    if properties is not None:
        context = _decoded(_Properties, properties).default_generation_settings.n_ctx
        return PromptSize(tokens=len(found.tokens), context_tokens=context)
    return PromptSize(tokens=found.count, context_tokens=found.max_model_len) if found.max_model_len else None


def _decoded(kind: type[S], body: bytes) -> S:
    try:
        return msgspec.json.decode(body, type=kind)
    except _UNDECODABLE as error:
        raise unusable(f"not an answer of a tokenizer ({type(error).__name__}, {len(body)} bytes)") from error


def raise_for_status(status: int, body: bytes, retry_after: str | None, date: str | None = None) -> NoReturn:
    """Translates a status other than 200 into an error: Retryable (408, 425, 429, 5xx) or Refused (all others).

    `retry_after` and `date` are its headers Retry-After and Date.
    """
    message = f"the server answers with {status}"
    if status == 429:
        raise retry("busy", message, parse_retry_after(retry_after, date))
    if status >= 500 or status in (408, 425):
        raise retry("server_error", message, parse_retry_after(retry_after, date))
    raise Refused(_refusal(status, body), message)


def parse_retry_after(value: str | None, date: str | None = None) -> float | None:
    """Returns the seconds of a Retry-After header, at most an hour; None without one.

    A date is relative to the response's own `date`.

    >>> parse_retry_after("2"), parse_retry_after("nan"), parse_retry_after("-1"), parse_retry_after("99999")
    (2.0, None, None, 3600.0)
    """
    seconds = retry_after_s(value, date)
    return None if seconds is None else min(seconds, RETRY_AFTER_MAX_S)


def retry(reason: RetryReason, message: str, retry_after_s: float | None = None) -> Retryable:
    """Returns a Retryable with a reason of the closed set."""
    return Retryable(f"{reason}: {message}", retry_after_s, reason)


def unusable(message: str) -> Retryable:
    """Returns the error for a 200 without a usable answer: another attempt, with another sample, may succeed."""
    return retry("bad_answer", message)


def _refusal(status: int, body: bytes) -> RefusalReason:
    if status in (401, 403):
        return "key"
    if status == 404:
        return "unknown_model"
    return "too_long" if status == 413 or _TOO_LONG.search(body) else "bad_request"
