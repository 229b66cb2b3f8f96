"""Words for one request out of the pool: no LLM call, and the guardrails look at every text as it will leave."""

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
from workers.core.guardrails.check import check, passed
from workers.core.guardrails.checks.duplicate import SAME
from workers.core.guardrails.checks.language import Language
from workers.core.playbook.campaigns import Campaign
from workers.core.playbook.playbook import GENERIC_GROUP, Playbook
from workers.core.text.near_duplicates import similarity, sketch

#: How a draw ends: with a text; nobody has approved one for this; none of those approved fits this request.
Result = Literal["taken", "no_entry", "none_passed"]
#: Filled and checked texts that are remembered, the newest; about 2 KB each.
_REMEMBERED = 4096
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
#: What differs between requests without any guardrail seeing it, but `duplicate`.
_NOBODY: dict[str, Any] = {
    **dict.fromkeys(("message_id", "decision_id", "user_id", "customer_ref"), ""),
    **dict.fromkeys(("requested_at", "deadline_at"), _NEVER),
    "sketches": [],
}


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """What a draw gave: `candidate` is there exactly with `taken`. `worn` names an entry that has just become worn."""

    result: Result
    candidate: Candidate | None = None
    worn: str = ""


class _Checked(msgspec.Struct, frozen=True):
    """A text with its slots filled (None = one has no value), what the guardrails said of it, and the sketch of its body."""

    text: MessageText | None
    verdicts: list[GuardrailVerdict]
    sketch: list[int]

    def fits(self, last: list[list[int]]) -> bool:
        """Returns whether it may leave, also to a customer whose last messages were like that (guardrail `duplicate`)."""
        return passed(self.verdicts) and all(similarity(self.sketch, one) < SAME for one in last)


class Pooled:
    """Draws for requests of pooled campaigns. `shelf` gives what is approved now.

    What a text is filled with and what the guardrails say of it depends on the entry and the request, but not on who the
    customer is and when: so it is remembered, and a text is checked once for all requests that are the same but for that.
    Whether this customer was told the same before is looked at each time.
    """

    def __init__(
        self, playbook: Playbook, shelf: Callable[[], ApprovedTexts], language: Language | None = None
    ) -> None:
        self._playbook = playbook
        self._shelf = shelf
        self._language = language
        self._remembered: dict[tuple[MessageText, bytes], _Checked] = {}
        self._uses: dict[str, int] = {}

    def draw(self, request: MessageRequest, now: datetime) -> Drawn | None:
        """A text for this request, the same one each time as long as the shelf stays; None = its campaign is not pooled.

        Customers who are spoken to without personalisation are not served: their words are the generic template's.
        """
        campaign = self._campaign(request)
        if campaign is None:
            return None
        result: Result = "no_entry"
        alike = codec.encode(msgspec.structs.replace(request, **_NOBODY))
        for entry in self._shelf().order(key_for(request), request.message_id):
            result = "none_passed"
            checked = self._checked(entry.text, request, alike)
            if checked.text is not None and checked.fits(request.sketches):
                candidate = _candidate(entry, checked.text, checked.verdicts, request, now)
                return Drawn(result="taken", candidate=candidate, worn=self._use(entry, campaign))
        return Drawn(result=result)

    def _campaign(self, request: MessageRequest) -> Campaign | None:
        """The campaign, if it is pooled and this request is for words of ours."""
        campaign = self._playbook.campaigns.get(request.campaign_id)
        channel = self._playbook.channels.get(request.channel)
        if channel is None or channel.is_templated(request.language) or request.target_group == GENERIC_GROUP:
            return None
        return campaign if campaign is not None and campaign.strategy == "pooled" else None

    def _checked(self, text: MessageText, request: MessageRequest, alike: bytes) -> _Checked:
        key = text, alike
        found = self._remembered.pop(key, None)
        if found is None:
            done, verdicts = fill(self._playbook, text, request, self._language)
            found = _Checked(done, verdicts, sketch(done.body) if done is not None else [])
            if len(self._remembered) >= _REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
        self._remembered[key] = found  # the last of the dictionary is the newest
        return found

    def _use(self, entry: PoolEntry, campaign: Campaign) -> str:
        """Counts one use; the entry's id when it has become worn by it."""
        uses = self._uses[entry.entry_id] = self._uses.get(entry.entry_id, 0) + 1
        return entry.entry_id if uses == campaign.pool_wear else ""


def fill(
    playbook: Playbook, text: MessageText, request: MessageRequest, language: Language | None = None
) -> tuple[MessageText | None, list[GuardrailVerdict]]:
    """(the text with its slots filled for this request, what every guardrail says of it); (None, []) = a slot has no value.

    Nothing is said of the customer's last messages. The request's channel must be in the playbook.
    """
    values = values_for(playbook, request.language, request.product, request.locale)
    done = filled(text, values, request.language)
    if done is None:
        return None, []
    prompt = playbook.prompts.get((request.prompt, request.language))
    example_words = tuple(prompt.decoding.example_words) if prompt else ()
    return done, check(done, request, playbook, language, example_words)


def _candidate(
    entry: PoolEntry, text: MessageText, verdicts: list[GuardrailVerdict], request: MessageRequest, now: datetime
) -> Candidate:
    """`usage` names the model that once wrote the text; there was no call."""
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
