"""Texts while LLM servers die, hang or are too few: the LLM's where one works in time, else the template at once."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from schemas.messages import Candidate, MessageRequest
from tests.support.llm import MODEL, FakeLlm, Fault
from tests.support.playbooks import models, playbook, request
from workers.adapters.llm.client import OpenAiModel
from workers.adapters.observability.metrics import WorkerMetrics
from workers.core.errors import Misconfigured, Unavailable
from workers.core.resilience.circuit_breaker import BreakerRule
from workers.roles.text_writer import Writer
from workers.settings import Settings

IN_FLIGHT = 4
TEXTS = 80
GOOD = json.dumps(
    {"title": "Your Smart Band is waiting", "body": "Heart-rate monitoring and sleep tracking, in your cart."}
)
#: Calls that a dead server may still get: what opens the breaker, what was under way, and a few probes.
WASTED = BreakerRule().in_a_row + IN_FLIGHT + 3


@pytest.fixture
def servers() -> Iterator[list[FakeLlm]]:
    with FakeLlm(latency_s=0.005, slots=IN_FLIGHT) as first, FakeLlm(latency_s=0.005, slots=IN_FLIGHT) as second:
        for server in (first, second):
            server.text = GOOD
        yield [first, second]


def asked(number: int, **changes: object) -> MessageRequest:
    now = datetime.now(UTC)
    values = {"requested_at": now, "deadline_at": now + timedelta(minutes=1), **changes}
    return msgspec.structs.replace(request(message_id=f"m-{number}"), **values)


def write(
    servers: list[FakeLlm], use: Callable[[Writer, OpenAiModel], Awaitable[None]], *, breaker: bool = True,
    metrics: WorkerMetrics | None = None, **settings: object,
) -> None:  # fmt: skip
    urls = ",".join(server.base_url for server in servers)
    values = {"llm": urls, "llm_model": MODEL, "llm_in_flight": IN_FLIGHT, **settings}
    chosen = Settings().changed(**values)
    metrics = metrics or WorkerMetrics()

    async def run() -> None:
        async with OpenAiModel(chosen, metrics, breaker=breaker) as model:
            await use(Writer(chosen, playbook(), model, models(), metrics), model)

    asyncio.run(run())


def when_one_dies(servers: list[FakeLlm], *, breaker: bool) -> tuple[int, list[Candidate]]:
    """How many calls the dead one of two servers still gets, and the texts of that time."""
    wasted = 0
    texts: list[Candidate] = []

    async def use(writer: Writer, _: OpenAiModel) -> None:
        nonlocal wasted
        await asyncio.gather(*(writer.write(asked(number)) for number in range(TEXTS)))
        assert min(len(server.requests) for server in servers) > 0
        servers[0].fault = Fault.RESET
        before = len(servers[0].requests)
        texts.extend(await asyncio.gather(*(writer.write(asked(number)) for number in range(TEXTS, 2 * TEXTS))))
        wasted = len(servers[0].requests) - before

    write(servers, use, breaker=breaker, llm_deadline_s=30.0 if breaker else 3.0)
    return wasted, texts


def test_when_one_of_two_servers_dies_all_texts_still_come_from_the_llm(servers: list[FakeLlm]) -> None:
    wasted, texts = when_one_dies(servers, breaker=True)
    assert {(text.generated_by, text.failure) for text in texts} == {("llm", "")}
    assert len(texts) == TEXTS
    assert 0 < wasted <= WASTED


@pytest.mark.slow
def test_without_its_breaker_the_dead_server_gets_many_more_calls(servers: list[FakeLlm]) -> None:
    wasted, _ = when_one_dies(servers, breaker=False)
    assert wasted > 2 * WASTED


def test_when_no_server_works_the_template_leaves_at_once_and_counts_no_call(servers: list[FakeLlm]) -> None:
    for server in servers:
        server.fault = Fault.RESET

    async def use(writer: Writer, model: OpenAiModel) -> None:
        with pytest.raises(Unavailable):
            await model.check()
        calls = [len(server.requests) for server in servers]
        text = await writer.write(asked(1))
        assert (text.generated_by, text.failure, text.usage.calls) == ("template", "unavailable", 0)
        assert [len(server.requests) for server in servers] == calls

    write(servers, use, llm_deadline_s=1.0)  # the next probe is due in a second, later than this text may wait


def test_a_text_that_nobody_hears_gives_way_when_calls_wait(servers: list[FakeLlm]) -> None:
    metrics = WorkerMetrics()

    async def use(writer: Writer, _: OpenAiModel) -> None:
        servers[0].fault = Fault.SLOW
        written: list[asyncio.Task[Candidate]] = [
            asyncio.create_task(writer.write(asked(number))) for number in range(IN_FLIGHT)
        ]
        assert await asyncio.to_thread(servers[0].arrived.wait, 20)
        ghost = await writer.write(asked(99, ghost=True))
        assert (ghost.generated_by, ghost.failure, ghost.usage.calls) == ("template", "shed", 0)
        servers[0].release()
        assert {text.generated_by for text in await asyncio.gather(*written)} == {"llm"}

    write(servers[:1], use, metrics=metrics)
    labels = {"language": "en", "generated_by": "template", "failure": "shed"}
    assert metrics.registry.get_sample_value("attune_texts_total", labels) == 1


def test_what_wrote_a_text_is_on_its_candidate(servers: list[FakeLlm]) -> None:
    knowledge = playbook()
    prompt = knowledge.prompts["cart-abandonment", "en"]
    with_adapter = msgspec.structs.replace(prompt, decoding=msgspec.structs.replace(prompt.decoding, model="warm"))
    prompts = {**knowledge.prompts, ("cart-abandonment", "en"): with_adapter}
    servers[0].adapters = ("warm",)
    settings = Settings().changed(llm=servers[0].base_url)

    async def run() -> Candidate:
        async with OpenAiModel(settings) as model:
            await model.check()
            book = msgspec.structs.replace(knowledge, prompts=prompts)
            return await Writer(settings, book, model, models(), WorkerMetrics()).write(asked(1))

    text = asyncio.run(run())
    assert (text.generated_by, text.usage.model, text.usage.adapter) == ("llm", MODEL, "warm")
    assert servers[0].requests[-1]["model"] == "warm"


# -- what fits --------------------------------------------------------------------------------------------------------


def check_prompts(servers: list[FakeLlm], **settings: str) -> str:
    found: list[str] = []

    async def use(writer: Writer, _: OpenAiModel) -> None:
        found.append(await writer.check_prompts())

    write(servers, use, **settings)  # type: ignore[arg-type] # settings only
    return found[0]


def test_prompts_that_fit_are_told_with_their_tokens(servers: list[FakeLlm]) -> None:
    servers[0].context_tokens = servers[1].context_tokens = 32_768
    assert re.fullmatch(r"prompts: \d+ to \d+ tokens of a context of 32768", check_prompts(servers))


def test_a_prompt_that_leaves_no_room_for_its_answer_stops_the_start_and_names_itself(servers: list[FakeLlm]) -> None:
    for server in servers:
        server.context_tokens = 700
    with pytest.raises(
        Misconfigured, match=r"cart-abandonment\.en on email \(.*\) takes \d+ tokens, its answer"
    ) as refused:
        check_prompts(servers)
    assert "--max-model-len" in refused.value.hint


def test_a_language_that_the_model_does_not_write_needs_no_room(servers: list[FakeLlm]) -> None:
    for server in servers:
        server.context_tokens = 700
    with pytest.raises(Misconfigured) as refused:
        check_prompts(servers, llm_languages="en")
    assert ".zh on" not in str(refused.value)


def test_the_first_server_that_has_a_tokenizer_is_asked(servers: list[FakeLlm]) -> None:
    servers[0].context_tokens, servers[1].context_tokens = None, 32_768
    assert "of a context of 32768" in check_prompts(servers)


def test_servers_without_a_tokenizer_are_said_so_and_used(servers: list[FakeLlm]) -> None:
    for server in servers:
        server.context_tokens = None
    assert "token counts are not available" in check_prompts(servers)


def test_without_an_llm_no_prompt_is_measured(servers: list[FakeLlm]) -> None:
    assert check_prompts(servers, llm="off") == "prompts: not used"
