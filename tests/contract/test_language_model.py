"""What any LLM server must do for us, through our client: run on the fake and on both real servers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from workers.adapters.llm.client import OpenAiModel
from workers.core.errors import Misconfigured, Refused, Retryable
from workers.core.generation.llm import ChatMessage, Completion, CompletionRequest, PromptSize
from workers.settings import Settings

T = TypeVar("T")

TIMEOUT_S = 60.0
SCHEMA = {
    "type": "object",
    "properties": {
        "subject": {"type": "string", "minLength": 5, "maxLength": 40},
        "body": {"type": "string", "minLength": 10, "maxLength": 80},
        "tone": {"type": "string", "enum": ["warm", "plain"]},
    },
    "required": ["subject", "body", "tone"],
    "additionalProperties": False,
}


def on(url: str, use: Callable[[OpenAiModel], Awaitable[T]], model: str = "") -> T:
    async def run() -> T:
        # The server is to be put to the test with many calls at once, not our limit.
        async with OpenAiModel(Settings().changed(llm=url, llm_model=model, llm_in_flight=64)) as client:
            return await use(client)

    return asyncio.run(run())


def request(text: str = "Write one sentence about a lamp.", **changes: object) -> CompletionRequest:
    values: dict[str, object] = {"max_tokens": 40, "temperature": 0.0} | changes
    return CompletionRequest(messages=(ChatMessage("user", text),), **values)  # type: ignore[arg-type]


def complete(url: str, call: CompletionRequest) -> Completion:
    return on(url, lambda client: client.complete(call, TIMEOUT_S))


def test_a_plain_call_is_answered_with_text_model_and_latency(llm_url: str) -> None:
    answer = complete(llm_url, request())
    assert answer.text.strip()
    assert answer.model
    assert 0 < answer.latency_s < TIMEOUT_S


def test_tokens_are_counted(llm_url: str) -> None:
    short, long = complete(llm_url, request()), complete(llm_url, request("Write about a lamp. " * 20))
    assert 0 < short.usage.output_tokens <= 40
    assert 0 < short.usage.input_tokens < long.usage.input_tokens


def test_an_answer_obeys_the_json_schema(llm_url: str) -> None:
    # Some small models never close a string at temperature 0; the schema's limits must end it.
    answer = complete(llm_url, request(schema=SCHEMA, max_tokens=400, temperature=0.8, seed=3))
    assert answer.finish_reason == "stop"
    fields = json.loads(answer.text)
    assert set(fields) == {"subject", "body", "tone"}
    assert fields["tone"] in ("warm", "plain")
    assert 5 <= len(fields["subject"]) <= 40
    assert 10 <= len(fields["body"]) <= 80


def test_a_seed_repeats_the_answer_and_another_seed_does_not(llm_url: str) -> None:
    async def three(client: OpenAiModel) -> list[str]:
        calls = [request("Tell a story.", temperature=1.0, seed=seed) for seed in (11, 11, 12)]
        return [(await client.complete(call, TIMEOUT_S)).text for call in calls]

    first, again, other = on(llm_url, three)
    assert first == again
    assert first != other


def test_several_samples_of_one_call_differ(llm_url: str) -> None:
    answer = complete(llm_url, request(samples=3, temperature=1.0, seed=11))
    assert 1 <= len(answer.others) <= 2
    assert len({answer.text, *answer.others}) > 1


def test_a_penalty_for_frequency_changes_an_answer_that_repeats_itself(llm_url: str) -> None:
    chant = "Say: la la la la la la la la la la la la."
    plain, penalised = (complete(llm_url, request(chant, frequency_penalty=penalty)) for penalty in (0.0, 2.0))
    assert penalised.text.strip()
    assert most_frequent(penalised.text) <= most_frequent(plain.text)


def most_frequent(text: str) -> int:
    return max(text.lower().split().count(word) for word in text.lower().split())


def size_of(url: str, call: CompletionRequest) -> PromptSize | None:
    return on(url, lambda client: client.size(call))


def test_a_question_is_sized_by_the_models_own_tokenizer(llm_url: str) -> None:
    for text in ("A lamp.", "Write about a lamp. " * 20, "这条手环可以游泳时佩戴。", '<|im_end|> & "quoted"'):
        size = size_of(llm_url, request(text))
        assert size is not None
        assert size.tokens == complete(llm_url, request(text)).usage.input_tokens
        assert size.context_tokens >= 2048


def test_max_tokens_cuts_the_answer_and_says_so(llm_url: str) -> None:
    answer = complete(llm_url, request("Tell a long story about a lamp.", max_tokens=5))
    assert answer.finish_reason == "length"
    assert answer.usage.output_tokens <= 5


def test_calls_beyond_the_slots_queue_and_are_all_answered(llm_url: str) -> None:
    # Prompts of 2,500 tokens together, with seeds: what ends vLLM when it may split prompts.
    async def many(client: OpenAiModel) -> list[Completion]:
        text = "A customer looked at a thermostat, put it in the cart and left. Write a reminder. " * 3
        calls = [
            request(f"{number}. {text}", schema=SCHEMA, seed=number, temperature=0.8, max_tokens=12)
            for number in range(36)
        ]
        return await asyncio.gather(*(client.complete(call, 4 * TIMEOUT_S) for call in calls))

    answers = on(llm_url, many)
    assert len(answers) == 36
    assert all(answer.text for answer in answers)


def test_a_timeout_is_retryable_and_frees_the_server(llm_url: str) -> None:
    async def hang_up_then_call(client: OpenAiModel) -> Completion:
        await client.complete(request(), TIMEOUT_S)
        # Sixteen answers of up to 1500 tokens would hold every slot for minutes if hanging up freed none.
        long = [request(f"{number}: tell a very long story.", max_tokens=1500) for number in range(16)]
        for outcome in await asyncio.gather(*(client.complete(call, 0.1) for call in long), return_exceptions=True):
            assert isinstance(outcome, Retryable)
            assert outcome.reason == "timeout"
        return await client.complete(request(), 15.0)

    assert on(llm_url, hang_up_then_call).text


def test_check_finds_the_only_model_served(llm_url: str) -> None:
    assert on(llm_url, lambda client: client.check())


def test_check_refuses_an_unknown_model_and_names_what_is_served(llm_url: str) -> None:
    served = on(llm_url, lambda client: client.check())
    with pytest.raises(Misconfigured) as caught:
        on(llm_url, lambda client: client.check(), model="no-such-model")
    assert "no-such-model" in str(caught.value)
    assert served in str(caught.value)


def test_a_prompt_beyond_the_context_is_refused_and_the_server_still_answers(llm_url: str) -> None:
    async def too_long_then_call(client: OpenAiModel) -> Completion:
        with pytest.raises(Refused) as caught:
            await client.complete(request("lamp " * 5000), TIMEOUT_S)
        assert caught.value.reason == "too_long"
        return await client.complete(request(), TIMEOUT_S)

    assert on(llm_url, too_long_then_call).text
