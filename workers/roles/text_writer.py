"""Writes one text within its deadline: makes the LLM calls of a draft, in the system's only retry loop."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from schemas.messages import Candidate, MessageRequest
from workers.adapters.process import clock
from workers.core.errors import Misconfigured, Refused, Retryable
from workers.core.generation.draft import Draft
from workers.core.generation.llm import Completion, CompletionRequest, LanguageModel
from workers.core.generation.pool.selection import Pooled
from workers.core.generation.prompt_budget import longest, too_long
from workers.core.guardrails.models import Models
from workers.core.playbook.playbook import Playbook
from workers.core.resilience.priority_queue import patience_s
from workers.core.stream.metrics import Metrics
from workers.settings import Settings

log = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 2.0


class Writer:
    """Turns requests into candidates. If the LLM fails, the candidate is the template, with the reason.

    With `pooled`, campaigns with the strategy `pooled` use approved texts without an LLM call; without it their texts are
    generated like all others.
    """

    def __init__(
        self,
        settings: Settings,
        playbook: Playbook,
        model: LanguageModel,
        models: Models,
        metrics: Metrics,
        pooled: Pooled | None = None,
    ) -> None:
        self._settings = settings
        self._playbook = playbook
        self._model = model
        self._models = models
        self._metrics = metrics
        self._pooled = pooled
        self._languages = frozenset(settings.llm.languages)

    async def check_prompts(self) -> str:
        """Checks at the start that every prompt, together with its answer, fits the model's context. Returns a summary.

        Raises Misconfigured naming those that do not fit.
        """
        if self._settings.llm.server == "off":
            return "prompts: not used"
        sizes = []
        for call in longest(self._playbook, self._languages):
            size = await self._model.size(call.request)
            if size is None:
                return "prompts: token counts are not available; a prompt that is too long is replaced by its template"
            sizes.append((call, size))
        if wrong := too_long(sizes, self._settings.llm.max_tokens):
            hint = "shorten the prompts, or start the server with a longer context (vLLM: --max-model-len)"
            raise Misconfigured(f"Prompts do not fit the model: {'; '.join(wrong)}.", hint)
        if not sizes:
            return "prompts: not checked, because there is no product or language to render them with"
        taken = [size.tokens for _, size in sizes]
        return f"prompts: {min(taken)} to {max(taken)} tokens of a context of {sizes[0][1].context_tokens}"

    async def write(self, request: MessageRequest) -> Candidate:
        """Returns one candidate within `llm_deadline_s`, or before the request's own deadline if that is earlier.

        A request past its deadline makes no LLM call. In a replay the deadline is relative to now, because the clock of a replay
        does not advance.
        """
        if (ready := self._from_pool(request)) is not None:
            return ready
        live = self._settings.clock == "wall"
        own_s = (request.deadline_at - (clock.utc_now() if live else request.requested_at)).total_seconds()
        ends_at_s = clock.monotonic_s() + min(self._settings.llm.deadline_s, own_s)
        draft = Draft(
            self._playbook,
            request,
            self._models,
            attempts=0 if self._settings.llm.server == "off" else 2,
            max_tokens=self._settings.llm.max_tokens,
            languages=self._languages,
        )
        while (call := draft.next_call()) is not None:
            answer = await self._call(call, ends_at_s)
            if isinstance(answer, Completion):
                draft.answer(answer)
            else:
                draft.failed(answer)
        candidate = draft.result(clock.utc_now())
        self._metrics.count("texts", request.language, candidate.generated_by, candidate.failure)
        for verdict in draft.rejections:
            self._metrics.count("guardrails", verdict.name, request.language)
        return candidate

    def _from_pool(self, request: MessageRequest) -> Candidate | None:
        """Returns an approved text for a pooled campaign, or its template if there is none; None = it must be generated now."""
        now = clock.utc_now()
        drawn = self._pooled.draw(request, now) if self._pooled is not None else None
        if drawn is None:
            return None
        self._metrics.count("pool", request.campaign_id, drawn.result)
        if drawn.worn:
            self._metrics.count("pool_worn", request.campaign_id)
            log.warning("pool entry %s of campaign %s is worn out: replenish the pool", drawn.worn, request.campaign_id)
        candidate = drawn.candidate
        if candidate is None:
            if self._playbook.campaigns[request.campaign_id].pool_miss == "fresh":
                return None
            template = Draft(self._playbook, request, attempts=0).result(now)
            candidate = msgspec.structs.replace(template, failure="pool_miss")
        self._metrics.count("texts", request.language, candidate.generated_by, candidate.failure)
        return candidate

    async def _call(self, call: CompletionRequest, ends_at_s: float) -> Completion | str:
        """Returns the completion, or a one-word failure. Retries transient errors with growing pauses until the deadline.

        While no server is available, a text waits for the next attempt only as long as its priority allows.
        """
        pause_s = _FIRST_PAUSE_S
        while (left_s := ends_at_s - clock.monotonic_s()) > 0:
            try:
                return await self._model.complete(call, left_s)
            except Refused as error:
                log.warning("the LLM refused a request: %s", error)
                return "refused"
            except Retryable as error:
                if error.reason == "shed":
                    return error.reason
                left_s = ends_at_s - clock.monotonic_s()
                pause = max(pause_s, error.retry_after_s or 0.0)
                if error.reason == "unavailable" and pause >= patience_s(call.priority, left_s):
                    return error.reason
                if pause >= left_s:
                    return "deadline"
                await asyncio.sleep(pause)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        return "deadline"
