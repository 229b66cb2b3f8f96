"""Finds the longest call of each prompt of a playbook, which must fit into the model's context with its answer."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from workers.core.catalogue import product_facts
from workers.core.experimentation import arms
from workers.core.generation.draft import Draft
from workers.core.generation.llm import CompletionRequest, PromptSize
from workers.core.generation.sample_requests import Scope, requests
from workers.core.playbook.playbook import Playbook

#: Tokens reserved for what is not known beforehand: the reason of a re-ask, and the names in a shop's events.
SPARE_TOKENS = 400
_EPOCH = datetime.fromtimestamp(0, UTC)


class PromptCall(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt on one channel, for the product and the target group with the longest texts."""

    prompt: str
    language: str
    channel: str
    target_group: str
    product_id: str
    request: CompletionRequest

    @property
    def name(self) -> str:
        """The name of the call in terms of the playbook."""
        return f"{self.prompt}.{self.language} on {self.channel} ({self.product_id}, {self.target_group})"


def longest(playbook: Playbook, languages: Collection[str] = ()) -> list[PromptCall]:
    """Returns the longest call per prompt × language × channel, of `languages` only (empty = all); [] without products."""
    found: dict[tuple[str, str, str], PromptCall] = {}
    for call in _calls(playbook, languages):
        key = call.prompt, call.language, call.channel
        if key not in found or _characters(call) > _characters(found[key]):
            found[key] = call
    return list(found.values())


def too_long(sizes: Sequence[tuple[PromptCall, PromptSize]], max_tokens: int) -> list[str]:
    """Describes the calls that leave no room for their answer of at most `max_tokens`; [] = all fit."""
    return [
        f"{call.name} takes {size.tokens} tokens, its answer {answer}, and {SPARE_TOKENS} are reserved: more than the "
        f"{size.context_tokens} tokens of the model's context"
        for call, size in sizes
        if size.tokens + (answer := min(call.request.max_tokens, max_tokens)) + SPARE_TOKENS > size.context_tokens
    ]


def _calls(playbook: Playbook, languages: Collection[str]) -> Iterator[PromptCall]:
    arm_count = max((len(arms.sending(campaign)) for campaign in playbook.campaigns.values()), default=0)
    for language in playbook.languages:
        if not playbook.products or (languages and language not in languages):
            continue
        longest_product = max(
            playbook.products.values(),
            key=lambda product: len(msgspec.json.encode(product_facts.facts_of(product, language))),
        )
        scope = Scope(products=[longest_product.product_id], languages=[language], each=arm_count)
        for request in requests(playbook, scope, _EPOCH, 1.0):
            completion_request = Draft(playbook, request).next_call()
            if completion_request is not None:
                yield PromptCall(
                    prompt=request.prompt,
                    language=language,
                    channel=request.channel,
                    target_group=request.target_group,
                    product_id=request.product.product_id,
                    request=completion_request,
                )


def _characters(call: PromptCall) -> int:
    return sum(len(message.content) for message in call.request.messages)
