"""What requests of a campaign share stands first in their prompts: vLLM's prefix cache holds most of each."""

from __future__ import annotations

import asyncio
import re
import urllib.request

import msgspec
import pytest

from schemas.messages import MessageRequest
from tests.support.playbooks import facts, playbook, request
from workers.adapters.llm.client import OpenAiModel
from workers.core.experimentation import arms
from workers.core.generation.draft import Draft
from workers.core.generation.llm import CompletionRequest
from workers.settings import Settings

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(480)]

MESSAGES = 200
LEAST_HIT_RATE = 0.7
PRODUCTS = ("smart-band", "wireless-earphones", "band-strap-sport", "charging-case")


def campaign(count: int) -> list[MessageRequest]:
    """Messages of one campaign: all its arms, two channels, three groups, several products."""
    known = playbook()
    speaking = list(arms.sending(known.campaigns["cart-abandonment"]).values())
    groups = [group.id for group in known.audiences.target_groups]
    return [
        request(
            facts(PRODUCTS[number % len(PRODUCTS)], "en"),
            channel=("push", "email")[number // 5 % 2],
            group=groups[number % len(groups)],
            prompt=speaking[number // 3 % len(speaking)].prompt,
            tone=speaking[number // 3 % len(speaking)].tone,
            message_id=f"m-{number}",
        )
        for number in range(count)
    ]


def prefix_tokens(url: str) -> tuple[float, float]:
    """(asked for, found in the cache) since the server started [tokens]."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as page:  # noqa: S310 - our own server
        text = page.read().decode()
    return tuple(  # type: ignore[return-value] # two names, two numbers
        sum(map(float, re.findall(rf"^vllm:prefix_cache_{name}_total\{{.*?\}} (\S+)$", text, re.MULTILINE)))
        for name in ("queries", "hits")
    )


def test_most_of_a_campaigns_prompts_comes_from_the_cache(vllm_url: str) -> None:
    async def ask() -> None:
        async with OpenAiModel(Settings().changed(llm=vllm_url, llm_in_flight=8)) as model:
            questions = [Draft(playbook(), one).next_call() for one in campaign(MESSAGES)]
            # The prompt is what is looked at: a few tokens of each answer are enough.
            short = [msgspec.structs.replace(question, max_tokens=4, schema=None) for question in questions if question]
            assert len(short) == MESSAGES
            slots = asyncio.Semaphore(8)  # as generate's window does: more would be shed

            async def one(question: CompletionRequest) -> None:
                async with slots:
                    await model.complete(question, 400.0)

            await asyncio.gather(*map(one, short))

    asked_before, found_before = prefix_tokens(vllm_url)
    asyncio.run(ask())
    asked, found = (
        now - before for now, before in zip(prefix_tokens(vllm_url), (asked_before, found_before), strict=True)
    )
    assert asked > MESSAGES * 300, "the prompts are those of the playbook"
    assert found / asked >= LEAST_HIT_RATE
