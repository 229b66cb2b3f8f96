"""Wraps a language model so that its answers vary more than its prompts ask for."""

from __future__ import annotations

import msgspec

from workers.core.generation.llm import Completion, CompletionRequest, LanguageModel, PromptSize


class MinimumTemperature:
    """Implements core.generation.llm.LanguageModel on top of another one, so that equal prompts give different texts.

    No call samples with a temperature below `min_temperature`; 0 changes nothing.
    """

    def __init__(self, model: LanguageModel, min_temperature: float) -> None:
        self._model = model
        self._min_temperature = min_temperature

    @property
    def name(self) -> str:
        """See core.generation.llm.LanguageModel."""
        return self._model.name

    async def size(self, request: CompletionRequest) -> PromptSize | None:
        """See core.generation.llm.LanguageModel."""
        return await self._model.size(request)

    async def complete(self, request: CompletionRequest, timeout_s: float) -> Completion:
        """See core.generation.llm.LanguageModel."""
        temperature = max(request.temperature, self._min_temperature)
        return await self._model.complete(msgspec.structs.replace(request, temperature=temperature), timeout_s)
