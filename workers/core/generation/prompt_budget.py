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


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt on one channel, for the product and the target group with the longest texts."""

    prompt: str
    language: str
    channel: str
    target_group: str
    product_id: str
    call: CompletionRequest

    @property
    def name(self) -> str:
        """The call in terms that a marketer finds in the playbook."""
        return f"{self.prompt}.{self.language} on {self.channel} ({self.product_id}, {self.target_group})"


def longest(playbook: Playbook, languages: Collection[str] = ()) -> list[Question]:
    """Returns the longest call per prompt × language × channel, of `languages` only (empty = all); [] without products."""
    found: dict[tuple[str, str, str], Question] = {}
    for question in _questions(playbook, languages):
        key = question.prompt, question.language, question.channel
        if key not in found or _characters(question) > _characters(found[key]):
            found[key] = question
    return list(found.values())


def too_long(sizes: Sequence[tuple[Question, PromptSize]], max_tokens: int) -> list[str]:
    """Describes the calls that leave no room for their answer of at most `max_tokens`; [] = all fit."""
    return [
        f"{question.name} takes {size.tokens} tokens, its answer {answer}, {SPARE_TOKENS} are to spare: more than "
        f"the {size.context_tokens} of the model"
        for question, size in sizes
        if size.tokens + (answer := min(question.call.max_tokens, max_tokens)) + SPARE_TOKENS > size.context_tokens
    ]


def _questions(playbook: Playbook, languages: Collection[str]) -> Iterator[Question]:
    ways = max((len(arms.sending(campaign)) for campaign in playbook.campaigns.values()), default=0)
    for language in playbook.languages:
        if not playbook.products or (languages and language not in languages):
            continue
        wordy = max(
            playbook.products.values(),
            key=lambda product: len(msgspec.json.encode(product_facts.facts_of(product, language))),
        )
        scope = Scope(products=[wordy.product_id], languages=[language], each=ways)
        for request in requests(playbook, scope, _EPOCH, 1.0):
            call = Draft(playbook, request).next_call()
            if call is not None:
                yield Question(
                    prompt=request.prompt,
                    language=language,
                    channel=request.channel,
                    target_group=request.target_group,
                    product_id=request.product.product_id,
                    call=call,
                )


def _characters(question: Question) -> int:
    return sum(len(message.content) for message in question.call.messages)
