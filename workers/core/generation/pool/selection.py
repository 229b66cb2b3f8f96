"""Selects a text from the pool for a request: no LLM call, and guardrails check every text as it will be published."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from schemas import codec
from schemas.learning import PoolEntry
from schemas.messages import Candidate, GuardrailVerdict, LlmUsage, MessageRequest, MessageText
from workers.core.generation.pool.entries import ApprovedTexts, key_for
from workers.core.generation.pool.slots import filled, values_for
from workers.core.guardrails.check import check, rejections
from workers.core.guardrails.checks.duplicate import SAME
from workers.core.guardrails.models import NO_MODELS, Models
from workers.core.playbook.campaigns import Campaign
from workers.core.playbook.playbook import GENERIC_GROUP, Playbook
from workers.core.text.near_duplicates import similarity, sketch

#: How a draw ends: with a text; no text is approved for this request; none of the approved ones fits it.
Result = Literal["taken", "no_entry", "none_passed"]
#: The newest filled and checked texts kept in the cache; about 2 KB each.
_MAX_CACHED = 4096
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
#: Neutral values for the fields of a request that no guardrail reads except `duplicate`.
_NEUTRAL: dict[str, Any] = {
    **dict.fromkeys(("message_id", "decision_id", "user_id", "customer_ref"), ""),
    **dict.fromkeys(("requested_at", "deadline_at"), _NEVER),
    "sketches": [],
}


class DrawResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a draw. `candidate` is set if and only if `result` is `taken`.

    `worn`: the ID of the entry if this use brought it to the campaign's `pool_wear` limit, else "".
    """

    result: Result
    candidate: Candidate | None = None
    worn: str = ""


class _Checked(msgspec.Struct, frozen=True):
    """A text with its slots filled (None = one has no value), its guardrail verdicts, and the sketch of its body."""

    text: MessageText | None
    verdicts: list[GuardrailVerdict]
    sketch: list[int]

    def fits(self, recent: list[list[int]]) -> bool:
        """Returns whether it may be published to a customer whose last messages have these sketches (guardrail `duplicate`)."""
        return not rejections(self.verdicts) and all(similarity(self.sketch, one) < SAME for one in recent)


class Pooled:
    """Draws texts for requests of pooled campaigns. `approved` returns the texts that are approved now.

    The filled text and its verdicts depend on the entry and the request, but not on the customer's identity or the time. So
    they are cached, and a text is checked once for all requests that differ in nothing else. Whether this customer got a
    similar message before is checked each time.
    """

    def __init__(self, playbook: Playbook, approved: Callable[[], ApprovedTexts], models: Models = NO_MODELS) -> None:
        self._playbook = playbook
        self._approved = approved
        self._models = models
        self._cache: dict[tuple[MessageText, bytes], _Checked] = {}
        self._uses: dict[str, int] = {}

    def draw(self, request: MessageRequest, now: datetime) -> DrawResult | None:
        """Returns a text for this request, the same while the approved texts stay the same; None = its campaign is not pooled.

        Customers who get no personalisation are not served: their text is the generic template's.
        """
        campaign = self._campaign(request)
        if campaign is None:
            return None
        result: Result = "no_entry"
        shared = codec.encode(msgspec.structs.replace(request, **_NEUTRAL))
        for entry in self._approved().order(key_for(request), request.message_id):
            result = "none_passed"
            checked = self._checked(entry.text, request, shared)
            if checked.text is not None and checked.fits(request.sketches):
                candidate = _candidate(entry, checked.text, checked.verdicts, request, now)
                return DrawResult(result="taken", candidate=candidate, worn=self._use(entry, campaign))
        return DrawResult(result=result)

    def _campaign(self, request: MessageRequest) -> Campaign | None:
        """Returns the campaign if it is pooled and the request needs a personalised text rather than a provider's template."""
        campaign = self._playbook.campaigns.get(request.campaign_id)
        channel = self._playbook.channels.get(request.channel)
        if channel is None or channel.is_templated(request.language) or request.target_group == GENERIC_GROUP:
            return None
        return campaign if campaign is not None and campaign.strategy == "pooled" else None

    def _checked(self, text: MessageText, request: MessageRequest, shared: bytes) -> _Checked:
        key = text, shared
        found = self._cache.pop(key, None)
        if found is None:
            done, verdicts = fill(self._playbook, text, request, self._models)
            found = _Checked(done, verdicts, sketch(done.body) if done is not None else [])
            if len(self._cache) >= _MAX_CACHED:
                del self._cache[next(iter(self._cache))]
        self._cache[key] = found  # the dictionary's last entry is the newest
        return found

    def _use(self, entry: PoolEntry, campaign: Campaign) -> str:
        """Counts one use; returns the entry's id if that makes it worn, else ""."""
        uses = self._uses[entry.entry_id] = self._uses.get(entry.entry_id, 0) + 1
        return entry.entry_id if uses == campaign.pool_wear else ""


def fill(
    playbook: Playbook, text: MessageText, request: MessageRequest, models: Models = NO_MODELS
) -> tuple[MessageText | None, list[GuardrailVerdict]]:
    """Returns (the text with its slots filled for this request, all guardrail verdicts); (None, []) = a slot has no value.

    The customer's last messages are not considered. The request's channel must be in the playbook.
    """
    values = values_for(playbook, request.language, request.product, request.locale)
    done = filled(text, values, request.language)
    if done is None:
        return None, []
    prompt = playbook.prompts.get((request.prompt, request.language))
    example_words = tuple(prompt.decoding.example_words) if prompt else ()
    return done, check(done, request, playbook, models, example_words)


def _candidate(
    entry: PoolEntry, text: MessageText, verdicts: list[GuardrailVerdict], request: MessageRequest, now: datetime
) -> Candidate:
    """Builds the candidate. `usage` names the model that once wrote the text; there was no call."""
    return Candidate(
        message_id=request.message_id,
        user_id=request.user_id,
        text=text,
        generated_by="pool",
        verdicts=verdicts,
        usage=LlmUsage(model=entry.model),
        prompt_version=entry.prompt_version,
        pool_entry_id=entry.entry_id,
        generated_at=now,
    )
