"""The LLM client against a server that breaks in every way: each failure has one meaning, nothing else escapes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import msgspec
import pytest

from tests.support.llm import MODEL, FakeLlm, Fault
from workers.adapters.llm import wire
from workers.adapters.llm.client import OpenAiModel
from workers.core.errors import Misconfigured, Refused, Retryable, Unavailable
from workers.core.generation.llm import ChatMessage, Completion, CompletionRequest
from workers.settings import Settings

T = TypeVar("T")

SECRET_TEXT = "Alice likes lamps"  # noqa: S105 - what must not show up in errors and logs
PATIENCE_S = 20.0
SOON_S = 0.1


@pytest.fixture
def fake() -> Iterator[FakeLlm]:
    with FakeLlm() as server:
        yield server


def on(url: str, use: Callable[[OpenAiModel], Awaitable[T]], model: str = MODEL, key: str = "") -> T:
    async def run() -> T:
        async with OpenAiModel(Settings().changed(llm=url, llm_model=model, llm_api_key=key)) as client:
            return await use(client)

    return asyncio.run(run())


def request(**changes: object) -> CompletionRequest:
    return CompletionRequest(messages=(ChatMessage("user", SECRET_TEXT),), **changes)  # type: ignore[arg-type]


def complete(url: str, timeout_s: float = PATIENCE_S, **changes: object) -> Completion:
    return on(url, lambda client: client.complete(request(**changes), timeout_s))


def check(url: str, model: str = MODEL, key: str = "") -> str:
    return on(url, lambda client: client.check(), model, key)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.EMPTY, "bad_answer"),
        (Fault.EMPTY_TEXT, "bad_answer"),
        (Fault.HTML, "bad_answer"),
        (Fault.TRUNCATED, "bad_answer"),
        (Fault.WRONG_SHAPE, "bad_answer"),
        (Fault.NAN, "bad_answer"),
        (Fault.HUGE, "bad_answer"),
        (Fault.ENDLESS, "bad_answer"),
        (Fault.CUT, "connection"),
        (Fault.RESET, "connection"),
        (Fault.BROKEN, "server_error"),
    ],
)
def test_a_broken_answer_is_retryable_and_the_next_call_works(fake: FakeLlm, fault: Fault, reason: str) -> None:
    async def break_then_call(client: OpenAiModel) -> Completion:
        fake.fault = fault
        with pytest.raises(Retryable) as caught:
            await client.complete(request(), PATIENCE_S)
        assert caught.value.reason == reason
        fake.fault = Fault.GOOD
        return await client.complete(request(), PATIENCE_S)

    assert on(fake.base_url, break_then_call).text


@pytest.mark.parametrize("fault", [Fault.SLOW, Fault.STUCK])
def test_the_timeout_covers_headers_and_body_and_hangs_up(fake: FakeLlm, fault: Fault) -> None:
    fake.fault = fault
    with pytest.raises(Retryable) as caught:
        complete(fake.base_url, SOON_S)
    assert caught.value.reason == "timeout"
    assert fake.hung_up.wait(PATIENCE_S)


def test_a_slow_answer_within_the_timeout_arrives(fake: FakeLlm) -> None:
    async def release_then_wait(client: OpenAiModel) -> Completion:
        fake.fault = Fault.SLOW
        fake.release()
        return await client.complete(request(), PATIENCE_S)

    assert on(fake.base_url, release_then_wait).finish_reason == "length"


def test_a_timeout_of_zero_asks_nobody(fake: FakeLlm) -> None:
    with pytest.raises(Retryable):
        complete(fake.base_url, 0.0)
    assert fake.requests == []


def test_cancelling_a_call_is_not_an_error_of_the_call(fake: FakeLlm) -> None:
    async def cancel(client: OpenAiModel) -> None:
        fake.fault = Fault.SLOW
        call = asyncio.create_task(client.complete(request(), PATIENCE_S))
        assert await asyncio.to_thread(fake.arrived.wait, PATIENCE_S)
        call.cancel()
        await call

    with pytest.raises(asyncio.CancelledError):
        on(fake.base_url, cancel)
    assert fake.hung_up.wait(PATIENCE_S)


def test_a_server_that_is_gone_is_retryable() -> None:
    with FakeLlm() as fake:
        url = fake.base_url
    with pytest.raises(Retryable) as caught:
        complete(url)
    assert caught.value.reason == "connection"


@pytest.mark.parametrize(
    "noise", [b"", b"\x00\xff\xfe" * 100, b"HTTP/9.9 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"a" * 99999]
)
def test_no_lower_level_error_escapes_when_the_server_speaks_no_http(noise: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(noise)
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, OpenAiModel(Settings().changed(llm=f"http://127.0.0.1:{port}", llm_model=MODEL)) as client:
            await client.complete(request(), PATIENCE_S)

    with pytest.raises(Retryable) as caught:
        asyncio.run(run())
    assert caught.value.reason == "connection"


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (400, b'{"error": {"message": "no such field"}}', "bad_request"),
        (400, b'{"error": {"message": "maximum context length is 2048"}}', "too_long"),
        (400, b'{"error": {"type": "exceed_context_size_error"}}', "too_long"),
        (400, b"\xff\xfe", "bad_request"),
        (401, b"", "key"),
        (403, b"<html>", "key"),
        (404, b"", "unknown_model"),
        (413, b"", "too_long"),
        (422, b"", "bad_request"),
        (302, b"", "bad_request"),
        (204, b"", "bad_request"),
    ],
)
def test_a_refusal_ends_the_call_but_not_the_worker(fake: FakeLlm, status: int, body: bytes, reason: str) -> None:
    fake.reply_with(status, body, {"Location": fake.base_url} if status == 302 else None)
    with pytest.raises(Refused) as caught:
        complete(fake.base_url)
    assert caught.value.reason == reason
    assert len(fake.requests) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_status_that_may_pass_is_retryable_and_asked_once(fake: FakeLlm, status: int) -> None:
    fake.reply_with(status, b"", {"Retry-After": "1.5"})
    with pytest.raises(Retryable) as caught:
        complete(fake.base_url)
    assert caught.value.retry_after_s == 1.5
    assert len(fake.requests) == 1


def test_a_server_may_name_the_date_when_it_is_back(fake: FakeLlm) -> None:
    dates = {"Date": "Wed, 21 Oct 2026 07:28:00 GMT", "Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT"}
    fake.reply_with(503, b"", dates)
    with pytest.raises(Retryable) as caught:
        complete(fake.base_url)
    assert caught.value.retry_after_s == 30.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        ("1000000", 3600.0),
        ("nan", None),
        ("inf", None),
        ("-3", None),
        ("", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        (None, None),
    ],
)
def test_retry_after_is_a_bounded_number_or_nothing(header: str | None, seconds: float | None) -> None:
    assert wire.parse_retry_after(header) == seconds


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices": []}',
        b'{"choices": [{"message": {"content": null}, "finish_reason": "stop"}]}',
        b'{"choices": [{"message": {"content": "a"}, "finish_reason": null}]}',
        b'{"choices": [{"message": {"content": "a"}, "finish_reason": "tool_calls"}]}',
        b'{"choices": [{"message": {"content": "\\ud800"}, "finish_reason": "stop"}]}',
        b'{"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": -1}}',
        b'{"x": ' + b"[" * 100_000,
        b'{"choices": [{"message": {"content": "\xff"}, "finish_reason": "stop"}]}',
    ],
)
def test_a_reply_that_is_no_finished_text_is_retryable(body: bytes) -> None:
    with pytest.raises(Retryable) as caught:
        wire.decode_reply(body, MODEL, 0.1)
    assert caught.value.reason == "bad_answer"


def test_a_reply_without_usage_and_model_counts_no_tokens() -> None:
    body = b'{"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}], "usage": null}'
    answer = wire.decode_reply(body, MODEL, 0.1)
    assert (answer.model, answer.usage.input_tokens, answer.usage.output_tokens) == (MODEL, 0, 0)


@pytest.mark.parametrize(
    ("said", "end"),
    [
        ("stop", "stop"),
        ("STOP", "stop"),
        ("eos_token", "stop"),  # text-generation-inference and its relatives
        ("stop_sequence", "stop"),
        ("end_turn", "stop"),
        ("length", "length"),
        ("MAX_TOKENS", "length"),
    ],
)
def test_an_answer_has_ended_in_whatever_words_the_server_says_so(said: str, end: str) -> None:
    body = msgspec.json.encode({"choices": [{"message": {"content": "a"}, "finish_reason": said}]})
    assert wire.decode_reply(body, "m", 0.1).finish_reason == end


def test_of_several_samples_those_that_were_cut_off_come_last_or_not_at_all() -> None:
    def choice(text: str, reason: str | None) -> dict[str, object]:
        return {"message": {"content": text}, "finish_reason": reason}

    choices = [choice("half of", "length"), choice("one", "stop"), choice("", "stop"), choice("two", "stop")]
    found = wire.decode_reply(msgspec.json.encode({"choices": [*choices, choice("lost", None)]}), "m", 0.0)
    assert (found.text, found.others, found.finish_reason) == ("one", ("two",), "stop")


def test_samples_and_penalty_are_asked_for_only_where_they_say_something() -> None:
    plain = msgspec.json.decode(wire.encode_request(request(), "m"))
    several = msgspec.json.decode(
        wire.encode_request(msgspec.structs.replace(request(), samples=3, frequency_penalty=0.2), "m")
    )
    assert {"n", "frequency_penalty"} & plain.keys() == set()
    assert (several["n"], several["frequency_penalty"]) == (3, 0.2)


def test_a_withheld_answer_is_refused() -> None:
    body = b'{"choices": [{"message": {"content": ""}, "finish_reason": "content_filter"}]}'
    with pytest.raises(Refused) as caught:
        wire.decode_reply(body, MODEL, 0.1)
    assert caught.value.reason == "filtered"


def test_the_request_carries_what_was_asked_and_nothing_else(fake: FakeLlm) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    complete(fake.base_url)
    complete(fake.base_url, schema=schema, seed=-1, temperature=0.5, top_p=0.9, max_tokens=7)
    plain, full = fake.requests
    messages = [{"role": "user", "content": SECRET_TEXT}]
    assert plain == {"model": MODEL, "messages": messages, "max_tokens": 120, "temperature": 0.0, "top_p": 1.0}
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    assert full["response_format"] == wanted
    assert (full["seed"], full["temperature"], full["top_p"], full["max_tokens"]) == (2**31 - 1, 0.5, 0.9, 7)


def test_a_request_without_json_form_is_refused_unsent(fake: FakeLlm) -> None:
    with pytest.raises(Refused) as caught:
        complete(fake.base_url, schema={"type": object()})
    assert caught.value.reason == "bad_request"
    assert fake.requests == []


def test_neither_prompt_nor_answer_shows_up_in_errors_and_logs(fake: FakeLlm, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for status in (200, 400, 500):
        fake.reply_with(status, f'{{"detail": "{SECRET_TEXT}"}}'.encode())
        with pytest.raises((Refused, Retryable)) as caught:
            complete(fake.base_url)
        assert SECRET_TEXT not in str(caught.value)
        assert SECRET_TEXT not in str(caught.value.__cause__)
    assert SECRET_TEXT not in caplog.text


def test_check_takes_the_only_model_and_names_it() -> None:
    async def name_after_check(client: OpenAiModel) -> tuple[str, str, str]:
        before = client.name
        return before, await client.check(), client.name

    with FakeLlm() as fake:
        assert on(fake.base_url, name_after_check, model="") == ("", MODEL, MODEL)
        assert check(fake.base_url + "/v1/", model="") == MODEL


def test_check_wants_a_name_when_several_models_are_served() -> None:
    with FakeLlm(models=("a", "b")) as fake:
        assert check(fake.base_url, model="b") == "b"
        with pytest.raises(Misconfigured, match="a, b"):
            check(fake.base_url, model="")


def test_check_refuses_a_model_that_is_not_served(fake: FakeLlm) -> None:
    with pytest.raises(Misconfigured, match=r"'other' is not served.*fake-1"):
        check(fake.base_url, model="other")


def test_check_refuses_a_wrong_key_and_does_not_show_it() -> None:
    with FakeLlm(api_key="right") as fake:
        assert check(fake.base_url, key="right") == MODEL
        with pytest.raises(Misconfigured, match="ATTUNE_LLM_API_KEY") as caught:
            check(fake.base_url, key="wrong-key")
        assert "wrong-key" not in str(caught.value)


def test_check_finds_a_key_that_only_the_chat_call_needs(fake: FakeLlm) -> None:
    fake.reply_with(401)
    with pytest.raises(Misconfigured, match="ATTUNE_LLM_API_KEY"):
        check(fake.base_url)


def test_check_without_a_server_is_unavailable_with_a_cure() -> None:
    with FakeLlm() as fake:
        url = fake.base_url
    with pytest.raises(Unavailable, match="ATTUNE_LLM"):
        check(url)


@pytest.mark.parametrize("fault", [Fault.BUSY, Fault.BROKEN, Fault.EMPTY_TEXT])
def test_check_lets_a_busy_server_pass(fake: FakeLlm, fault: Fault) -> None:
    fake.fault = fault
    assert check(fake.base_url) == MODEL


def test_a_call_without_check_finds_the_only_model_itself(fake: FakeLlm) -> None:
    answer = on(fake.base_url, lambda client: client.complete(request(), PATIENCE_S), model="")
    assert answer.model == MODEL


def test_a_call_without_check_is_refused_when_the_model_is_not_clear() -> None:
    with FakeLlm(models=("a", "b")) as fake, pytest.raises(Refused) as caught:
        on(fake.base_url, lambda client: client.complete(request(), PATIENCE_S), model="")
    assert caught.value.reason == "unknown_model"


def test_a_closed_client_answers_with_retryable(fake: FakeLlm) -> None:
    async def close_twice_then_call(client: OpenAiModel) -> None:
        await client.close()
        await client.close()
        await client.complete(request(), PATIENCE_S)

    with pytest.raises(Retryable, match="closed"):
        on(fake.base_url, close_twice_then_call)
