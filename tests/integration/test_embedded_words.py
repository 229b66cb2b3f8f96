"""The embedded model is weak, but its words are its own: a fair share of English texts passes every guardrail."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.llm.locate import LlmServer
from schemas.messages import Candidate, MessageRequest
from tests.support.workers import ROOT
from workers.adapters.claims.models import load_models
from workers.adapters.llm.client import OpenAiModel
from workers.adapters.observability.metrics import WorkerMetrics
from workers.adapters.playbook.loader import load as load_playbook
from workers.core.catalogue import product_facts
from workers.core.guardrails.check import check, passed
from workers.core.playbook.playbook import Playbook
from workers.core.profile.model import CartLine
from workers.roles.text_writer import Writer
from workers.settings import Settings

pytestmark = [pytest.mark.llm, pytest.mark.timeout(1800)]

#: Of all texts; of each prompt's half of it. Measured 0.67 to 0.92 a prompt; below this the demo would speak by template alone.
LEAST_SHARE = 0.5


@pytest.fixture(scope="module")
def playbook() -> Playbook:
    return load_playbook(ROOT / "playbooks" / "smart-devices")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = Settings().changed(
        data_dir=str(tmp_path_factory.mktemp("words")), llm_deadline_s=900.0, llm_languages="en"
    )
    with LlmServer.start(folder) as server:
        yield folder.changed(llm=server.base_url)


def request(
    playbook: Playbook,
    product_id: str,
    group: str,
    channel: str,
    language: str = "en",
    prompt: str = "cart-abandonment",
    tone: str | None = None,
) -> MessageRequest:
    product = playbook.products[product_id]
    campaign = next(
        campaign
        for campaign in playbook.campaigns.values()
        if prompt in (campaign.prompt, *(variant.prompt for variant in campaign.variants))
    )
    now = datetime.now(UTC)
    return MessageRequest(
        message_id=f"{prompt}-{product_id}-{group}-{channel}-{tone}-{language}",
        decision_id="d",
        user_id="u",
        customer_ref="r",
        campaign_id=campaign.id,
        channel=channel,
        language=language,
        locale=language,
        target_group=group,
        prompt=prompt,
        prompt_version=playbook.prompts[prompt, language].version,
        template=campaign.prompt,
        tone=tone,
        product=product_facts.product_facts(CartLine(product_id), product.currency, playbook, language),
        requested_at=now,
        deadline_at=now + timedelta(hours=1),
    )


def write(settings: Settings, playbook: Playbook, requests: list[MessageRequest]) -> list[Candidate]:
    async def run() -> list[Candidate]:
        async with OpenAiModel(settings) as model:
            await model.check()
            writer = Writer(settings, playbook, model, load_models(playbook), WorkerMetrics())
            return list(await asyncio.gather(*map(writer.write, requests)))

    return asyncio.run(run())


PROMPTS = {
    "cart-abandonment": ("smart-band", "wireless-earphones"),
    "cart-abandonment-question": ("smart-band", "wireless-earphones"),
    "repeat-view": ("smart-band", "wireless-earphones"),
    "browse-abandonment": ("smart-band", "wireless-earphones"),
    "cross-sell": ("band-strap-sport", "charging-case"),
}


def test_a_fair_share_of_english_texts_is_the_models_own_and_all_pass(settings: Settings, playbook: Playbook) -> None:
    requests = [
        request(playbook, product_id, group.id, channel, prompt=prompt, tone=tone)
        for prompt, products in PROMPTS.items()
        for product_id, tone, channel in zip(products, playbook.tones, ("push", "email"), strict=True)
        for group in playbook.audiences.target_groups
    ]
    candidates = write(settings, playbook, requests)
    own = [candidate.generated_by == "llm" for candidate in candidates]
    said = [(candidate.failure, candidate.text) for candidate in candidates]
    assert sum(own) >= LEAST_SHARE * len(own), said
    for prompt in PROMPTS:  # none lives of the others
        of_prompt = [is_own for is_own, about in zip(own, requests, strict=True) if about.prompt == prompt]
        assert sum(of_prompt) >= LEAST_SHARE / 2 * len(of_prompt), (prompt, said)
    for candidate, about in zip(candidates, requests, strict=True):
        assert passed(check(candidate.text, about, playbook)), candidate.text


def test_a_language_that_the_model_does_not_write_costs_no_call(settings: Settings, playbook: Playbook) -> None:
    (candidate,) = write(settings, playbook, [request(playbook, "smart-band", "sports", "push", "zh")])
    assert (candidate.generated_by, candidate.failure, candidate.usage.calls) == ("template", "language", 0)
    assert "智能手环" in candidate.text.title + candidate.text.body


def test_the_log_of_the_server_holds_no_text(settings: Settings) -> None:
    log = Path(settings.data_dir) / "llm.log"
    assert "cart" not in log.read_text()
