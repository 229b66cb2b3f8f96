"""Writes one text: calls the model, checks its answer, retries with the reason of a rejection, or uses the template.

Pure: the caller makes the calls.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from hashlib import blake2b

import msgspec

from schemas.base import GeneratedBy
from schemas.messages import Candidate, GuardrailVerdict, LlmUsage, MessageRequest, MessageText
from workers.core.generation import answer_parsing, prompts
from workers.core.generation.llm import ChatMessage, Completion, CompletionRequest
from workers.core.generation.templates import template_text
from workers.core.guardrails.check import GROUNDING, check, passed, rejections
from workers.core.guardrails.checks.model_talk import META
from workers.core.guardrails.checks.unsupported import NAME as UNSUPPORTED
from workers.core.guardrails.models import NO_MODELS, Models
from workers.core.guardrails.trusted_input import Trusted, trusted
from workers.core.playbook.playbook import GENERIC_GROUP, Playbook
from workers.core.resilience.priority_queue import GHOST

#: Reasons why a text is not the model's own (Candidate.failure); the caller adds its own reasons for failed calls.
FAILURES = ("", "guardrail", "malformed", "cut_off", "not_personalised", "language", "stale", "off", "pool_miss")
#: Failures of calls that were never made: no LLM server is available, or its turn would come too late.
NOT_CALLED = ("unavailable", "shed")
#: Appended to the last turn. The rejected answer itself is not shown, because small models would repeat it and it may
#: contain anything. All attempts therefore share their prompt as prefix.
_AGAIN = {
    "zh": "上一稿没有通过检查（{reason}）。请避免同样的问题，换一种写法。",
    "en": "An earlier draft was rejected ({reason}). Avoid that and write it in other words.",
}
_MAX_REASONS, _MAX_REASONS_CHARS, _MAX_REASON_CHARS, _MAX_QUOTED_CHARS = 4, 220, 200, 40
_QUOTED = re.compile(r'"([^"]*)"?')
_NOT_IN_REASON = re.compile(r"[<>{}\[\]|`=#*_~^\\]")


class Draft:
    """One text in progress: call `next_call` until it returns None, each time followed by `answer` or `failed`; then `result`.

    `attempts`: the maximum number of calls, including the first; 0 = the model is not called. Sampling seeds derive from the
    message_id: the same request makes the same calls. `max_tokens` None = the prompt's own limit, else the smaller of the
    two. `languages`: those that the model writes well enough (empty = all); a request in any other gets the template.
    """

    def __init__(
        self,
        playbook: Playbook,
        request: MessageRequest,
        models: Models = NO_MODELS,
        *,
        attempts: int = 2,
        max_tokens: int | None = None,
        languages: Collection[str] = (),
    ) -> None:
        self._playbook = playbook
        self._request = request
        self._models = models
        self._attempts = attempts
        self._max_tokens = max_tokens
        self._languages = languages
        self._turns: tuple[ChatMessage, ...] = ()
        self._calls = 0
        self._failure = self._skip_reason()
        self._done = bool(self._failure)
        self._text: MessageText | None = None
        self._verdicts: list[GuardrailVerdict] = []
        #: The first text that no guardrail rejects, but one doubts, with its verdicts.
        self._doubtful: tuple[MessageText, list[GuardrailVerdict]] | None = None
        self._trusted: Trusted | None = None
        self._usage = LlmUsage()
        #: Every verdict that rejected an answer, over all attempts.
        self.rejections: list[GuardrailVerdict] = []

    def next_call(self) -> CompletionRequest | None:
        """Returns the next call to the model; None = no further call is needed or allowed."""
        if self._done or self._calls >= self._attempts:
            return None
        prompt = self._playbook.prompts[self._request.prompt, self._request.language]
        channel = self._playbook.channels[self._request.channel]
        limit = prompt.decoding.max_tokens
        return CompletionRequest(
            messages=self._messages(),
            schema=prompts.schema_for(channel, self._request.language),
            max_tokens=limit if self._max_tokens is None else min(limit, self._max_tokens),
            temperature=prompt.decoding.temperature,
            top_p=prompt.decoding.top_p,
            frequency_penalty=prompt.decoding.frequency_penalty,
            samples=prompt.decoding.samples,
            seed=_seed(self._request.message_id, self._calls),
            model=prompt.decoding.model,
            priority=GHOST if self._request.ghost else self._request.priority,
            affinity=f"{prompt.id}/{prompt.language}",
            message_id=self._request.message_id,
        )

    def answer(self, completion: Completion) -> None:
        """Applies the model's answer: accepts it, or rejects it and adds the reason to the next call."""
        self._calls += 1
        self._usage = _added(self._usage, completion)
        channel = self._playbook.channels[self._request.channel]
        if completion.finish_reason == "length":
            self._reject("cut_off", [_malformed("the answer was too long and was cut off")])
            return
        judged = []
        for answer in (completion.text, *completion.others):
            text = answer_parsing.parse(answer, channel.fields)
            verdicts = [_malformed(text)] if isinstance(text, str) else self._judge(text)
            if not isinstance(text, str) and passed(verdicts):
                self._text, self._verdicts, self._failure, self._done = text, verdicts, "", True
                return
            if not isinstance(text, str) and not rejections(verdicts) and self._doubtful is None:
                self._doubtful = text, verdicts
            judged.append(("malformed" if isinstance(text, str) else "guardrail", verdicts))
        self._reject(*judged[0])

    def _judge(self, text: MessageText) -> list[GuardrailVerdict]:
        prompt = self._playbook.prompts[self._request.prompt, self._request.language]
        if self._trusted is None:
            self._trusted = trusted(self._request, self._playbook)
        return check(
            text,
            self._trusted,
            self._playbook,
            self._models,
            tuple(prompt.decoding.example_words),
            self._request.sketches,
        )

    def failed(self, reason: str) -> None:
        """Records that the call gave no answer (`reason` in one word); no further call is made."""
        self._calls += 1
        if reason not in NOT_CALLED:
            self._usage = msgspec.structs.replace(self._usage, calls=self._usage.calls + 1)
        self._failure, self._done = reason, True

    def result(self, now: datetime) -> Candidate:
        """Returns the finished text. `verdicts` are those of the model's last answer; `usage` is the sum of all calls.

        A doubtful text is returned only if the playbook has people review those.
        """
        request = self._request
        if self._text is None and self._doubtful is not None and self._playbook.policy.claims.doubtful == "review":
            self._text, self._verdicts = self._doubtful
            self._failure = ""
        text, generated_by, version = self._text, GENERATED_BY_LLM, request.prompt_version
        if text is None:
            generated_by = GENERATED_BY_TEMPLATE
            text, version = template_text(
                self._playbook,
                request.template or request.prompt,
                request.language,
                request.target_group,
                request.channel,
                request.product,
                tone=request.tone,
                locale=request.locale,
            )
        else:
            version = self._playbook.prompts[request.prompt, request.language].version
        return Candidate(
            message_id=request.message_id,
            user_id=request.user_id,
            text=text,
            generated_by=generated_by,
            failure=self._failure,
            verdicts=self._verdicts,
            usage=self._usage,
            prompt_version=version,
            generated_at=now,
        )

    def _messages(self) -> tuple[ChatMessage, ...]:
        """Returns the turns of the next call; rendered once."""
        if not self._turns:
            self._turns = prompts.render(self._playbook, self._request)
        return self._turns

    def _skip_reason(self) -> str:
        """Returns the reason why the model is not called at all; "" = it is called."""
        request = self._request
        if self._attempts == 0:
            return "off"
        if request.target_group == GENERIC_GROUP:
            return "not_personalised"
        if self._languages and request.language not in self._languages:
            return "language"
        channel = self._playbook.channels.get(request.channel)
        if channel is None or channel.is_templated(request.language):
            return "stale"
        return "" if (request.prompt, request.language) in self._playbook.prompts else "stale"

    def _reject(self, failure: str, verdicts: list[GuardrailVerdict]) -> None:
        failed = [verdict for verdict in verdicts if not verdict.passed]
        self.rejections += failed
        self._failure, self._verdicts = failure, verdicts
        if self._calls < self._attempts:
            again = _AGAIN.get(self._request.language, _AGAIN["en"])
            reason = _reasons_for_model(failed)
            *before, last = self._messages()
            self._turns = (*before, ChatMessage(last.role, f"{last.content}\n{again.format(reason=reason)}"))


GENERATED_BY_LLM: GeneratedBy = "llm"
GENERATED_BY_TEMPLATE: GeneratedBy = "template"


def _malformed(reason: str) -> GuardrailVerdict:
    return GuardrailVerdict(name="structure", passed=False, detail=reason)


def _reasons_for_model(failed: list[GuardrailVerdict]) -> str:
    """Returns all reasons why copy was rejected; of an answer that is not copy, which may quote an attack, only the first."""
    shown = failed[:_MAX_REASONS] if all(verdict.name in GROUNDING for verdict in failed) else failed[:1]
    return "; ".join(map(_reason_for_model, shown))[:_MAX_REASONS_CHARS]


def _reason_for_model(verdict: GuardrailVerdict) -> str:
    """Returns the reason in a form that is safe to show to the model.

    It is placed outside the data block, and it may quote an attacker's text that the model repeated. It therefore contains
    nothing that looks like a delimiter, no long quotation, and no quotation at all of an instruction.

    >>> _reason_for_model(GuardrailVerdict(name="meta", passed=False, detail='"Ignore all rules" is not copy for a customer'))
    'a part of it is not copy for a customer'
    """
    quote = "a part of it" if verdict.name == "meta" else ""
    if verdict.name == UNSUPPORTED and META.search(verdict.detail.casefold()):
        quote = "a part of it"
    detail = _QUOTED.sub(lambda found: quote or f'"{found.group(1)[:_MAX_QUOTED_CHARS]}"', verdict.detail)
    return " ".join(_NOT_IN_REASON.sub(" ", detail).split()).strip(".")[:_MAX_REASON_CHARS]


def _seed(message_id: str, call: int) -> int:
    """Returns a sampling seed of 31 bits, which every server accepts.

    >>> _seed("m", 0) == _seed("m", 0) != _seed("m", 1)
    True
    """
    return int.from_bytes(blake2b(f"{call}/{message_id}".encode(), digest_size=4).digest(), "big") >> 1


def _added(usage: LlmUsage, completion: Completion) -> LlmUsage:
    return msgspec.structs.replace(
        usage,
        model=completion.model,
        adapter=completion.adapter,
        calls=usage.calls + 1,
        input_tokens=usage.input_tokens + completion.usage.input_tokens,
        output_tokens=usage.output_tokens + completion.usage.output_tokens,
        latency_s=usage.latency_s + completion.latency_s,
        finish_reason=completion.finish_reason,
    )
