"""Defines the port to a language model: requests, answers and errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec


class CompletionUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one call, as the server counted them."""

    input_tokens: int = 0
    output_tokens: int = 0


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of the LLM; `text` is not trusted. `finish_reason` is `stop` or `length` (cut off).

    `model` is the base model; `adapter` the LoRA adapter on top of it, if one was requested and served. `others` are the
    further samples that have the same `finish_reason`.
    """

    text: str
    model: str
    adapter: str = ""
    finish_reason: str
    usage: CompletionUsage = CompletionUsage()
    latency_s: float = 0.0
    others: tuple[str, ...] = ()


class ChatMessage(msgspec.Struct, frozen=True):
    """One turn of a prompt; role is `system`, `user` or `assistant`."""

    role: str
    content: str


class CompletionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One call. `schema` is a JSON Schema that the server must enforce; `seed` makes sampling repeatable.

    `samples`: answers requested at once; a server may return fewer. `frequency_penalty` makes words that are already in the
    answer less likely. `model`: an adapter that the server may know by this name ("" = its own model, which also answers if the
    adapter is not served). `priority` is 0 to 9, 9 the most important, -1 for a text that no customer receives. Calls of the same
    `affinity` share the beginning of their prompt. `message_id` identifies the trace of the call.
    """

    messages: tuple[ChatMessage, ...]
    schema: Mapping[str, object] | None = None
    max_tokens: int = 120
    temperature: float = 0.0
    top_p: float = 1.0
    frequency_penalty: float = 0.0
    samples: int = 1
    seed: int | None = None
    model: str = ""
    priority: int = 5
    affinity: str = ""
    message_id: str = ""


class PromptSize(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens of a request and of the model's context, counted by the model's own tokenizer."""

    tokens: int
    context_tokens: int


class LanguageModel(Protocol):
    """One LLM server or several. The adapter holds no retry loop: the caller has the only one."""

    @property
    def name(self) -> str:
        """The name of the model that answers, as used in metrics."""
        ...

    async def size(self, request: CompletionRequest) -> PromptSize | None:
        """Returns the size of a request by the model's own tokenizer; None if it has none, or no server answers."""
        ...

    async def complete(self, request: CompletionRequest, timeout_s: float) -> Completion:
        """Makes one call within `timeout_s` (connect, queue and body together).

        Raises Retryable if the same call may succeed later (timeout, connection, 429, 5xx, an unusable answer; `unavailable`:
        no server is called before `retry_after_s`; `shed`: its turn would come too late), Refused if it cannot (context too
        long, bad request, model or key no longer known). Never Fatal: no answer of a server stops a worker; a wrong model or
        key is detected at startup.
        """
        ...
