"""Several LLM servers as one: who is asked, who waits, who is left alone, and what a broken one may cost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from typing import TypeVar

import pytest
from prometheus_client import generate_latest

from tests.support.llm import MODEL, FakeLlm, Fault
from workers.adapters.llm import client as client_module
from workers.adapters.llm.client import OpenAiModel
from workers.adapters.observability.metrics import WorkerMetrics
from workers.adapters.process.clock import monotonic_s
from workers.core.errors import Misconfigured, Retryable, Unavailable
from workers.core.generation.llm import ChatMessage, Completion, CompletionRequest
from workers.core.resilience.circuit_breaker import BreakerRule
from workers.core.resilience.priority_queue import GHOST, ROOM_PER_SLOT
from workers.settings import Settings

T = TypeVar("T")

PATIENCE_S = 20.0
IN_A_ROW = BreakerRule().in_a_row
PAGE = """# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{engine="0",model_name="a}}\\"b"}} {running}
vllm:num_requests_waiting{{engine="0",model_name="m"}} {waiting}
vllm:num_requests_waiting_by_reason{{reason="capacity"}} 99.0
vllm:gpu_cache_usage_perc{{engine="0"}} 0.25
"""


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.s = 1_000.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def servers() -> Iterator[list[FakeLlm]]:
    with FakeLlm() as first, FakeLlm() as second:
        first.text = second.text = "warm light"
        yield [first, second]


def pool(
    servers: list[FakeLlm], use: Callable[[OpenAiModel], Awaitable[T]], metrics: WorkerMetrics | None = None,
    now_s: Clock | None = None, model: str = MODEL, **settings: object,
) -> T:  # fmt: skip
    chosen = Settings().changed(llm=",".join(server.base_url for server in servers), llm_model=model, **settings)

    async def run() -> T:
        async with OpenAiModel(chosen, metrics, now_s=now_s or monotonic_s) as client:
            return await asyncio.wait_for(use(client), PATIENCE_S)

    return asyncio.run(run())


def request(text: object = "Hello", **changes: object) -> CompletionRequest:
    return CompletionRequest(messages=(ChatMessage("user", str(text)),), **changes)  # type: ignore[arg-type]


def value(metrics: WorkerMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


async def call(client: OpenAiModel, **changes: object) -> Completion | Retryable:
    try:
        return await client.complete(request(**changes), PATIENCE_S)
    except Retryable as error:
        return error


async def calls(client: OpenAiModel, count: int) -> list[Completion | Retryable]:
    """One after the other, of different prompts."""
    return [await call(client, affinity=f"prompt-{number}") for number in range(count)]


async def arrived(server: FakeLlm) -> None:
    assert await asyncio.to_thread(server.arrived.wait, PATIENCE_S)


def texts(server: FakeLlm) -> list[str]:
    return [body["messages"][0]["content"] for body in server.requests]


# -- who is asked ----------------------------------------------------------------------------------------------------


def test_idle_servers_share_the_prompts_and_each_prompt_has_its_own(servers: list[FakeLlm]) -> None:
    async def use(client: OpenAiModel) -> None:
        for _ in range(3):
            assert all(isinstance(answer, Completion) for answer in await calls(client, 20))

    pool(servers, use)
    counts = [len(server.requests) for server in servers]
    assert sum(counts) == 60
    assert [count % 3 for count in counts] == [0, 0]
    assert min(counts) > 0


def test_no_server_gets_more_calls_at_once_than_the_setting_and_all_are_used() -> None:
    with FakeLlm(latency_s=0.01) as first, FakeLlm(latency_s=0.01) as second:

        async def use(client: OpenAiModel) -> None:
            answers = await asyncio.gather(*(call(client, affinity="the same") for _ in range(40)))
            assert all(isinstance(answer, Completion) for answer in answers)

        pool([first, second], use, llm_in_flight=3)
        assert [first.max_concurrent, second.max_concurrent] == [3, 3]


@pytest.mark.parametrize(
    "fault",
    [
        Fault.EMPTY, Fault.EMPTY_TEXT, Fault.HTML, Fault.TRUNCATED, Fault.CUT, Fault.WRONG_SHAPE, Fault.NAN, Fault.HUGE,
        Fault.ENDLESS, Fault.BUSY, Fault.BROKEN, Fault.RESET,
    ],
)  # fmt: skip
def test_a_broken_server_costs_a_few_calls_and_then_all_go_to_the_other(servers: list[FakeLlm], fault: Fault) -> None:
    servers[0].fault = fault
    answers = pool(servers, lambda client: calls(client, 60), now_s=Clock())
    failed = [answer for answer in answers if isinstance(answer, Retryable)]
    assert 0 < len(failed) == len(servers[0].requests) <= IN_A_ROW
    assert all(isinstance(answer, Completion) for answer in answers[-20:])


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_server_whose_key_or_model_is_wrong_by_now_is_left_alone_at_once(servers: list[FakeLlm], status: int) -> None:
    servers[0].reply_with(status)
    answers = pool(servers, lambda client: calls(client, 40), now_s=Clock())
    assert len(servers[0].requests) == 1
    (failed,) = [answer for answer in answers if isinstance(answer, Retryable)]
    assert failed.reason == "unavailable"


def test_a_server_that_hangs_is_left_alone_after_some_timeouts(servers: list[FakeLlm]) -> None:
    servers[0].fault = Fault.STUCK

    async def use(client: OpenAiModel) -> None:
        async def short(number: int) -> None:
            with contextlib.suppress(Retryable):
                await client.complete(request(affinity=str(number)), 1.0)

        await asyncio.gather(*(short(number) for number in range(2 * IN_A_ROW)))
        before = len(servers[0].requests)
        assert all(isinstance(answer, Completion) for answer in await calls(client, 20))
        assert len(servers[0].requests) == before

    pool(servers, use, now_s=Clock(), llm_in_flight=IN_A_ROW)


def test_timeouts_of_calls_that_had_hardly_any_time_say_nothing(servers: list[FakeLlm]) -> None:
    servers[0].fault = Fault.SLOW

    async def use(client: OpenAiModel) -> None:
        for _ in range(2 * IN_A_ROW):
            with pytest.raises(Retryable):
                await client.complete(request(), 0.01)
        servers[0].fault = Fault.GOOD
        assert isinstance(await call(client), Completion)

    pool(servers[:1], use)


# -- when nobody works -----------------------------------------------------------------------------------------------


def test_when_all_are_left_alone_calls_fail_at_once_and_say_for_how_long(servers: list[FakeLlm]) -> None:
    clock = Clock()

    async def use(client: OpenAiModel) -> None:
        for server in servers:
            server.fault = Fault.RESET
        await calls(client, 10 * IN_A_ROW)
        asked = [len(server.requests) for server in servers]
        clock.s += 0.25
        answers = await calls(client, 50)
        assert {(error.reason, error.retry_after_s) for error in answers if isinstance(error, Retryable)} == {
            ("unavailable", 0.75)
        }
        assert len(answers) == 50
        assert [len(server.requests) for server in servers] == asked == [IN_A_ROW, IN_A_ROW]

    pool(servers, use, now_s=clock)


def test_a_server_that_is_back_is_found_by_one_call_and_no_herd_follows() -> None:
    clock, metrics = Clock(), WorkerMetrics()

    async def use(client: OpenAiModel) -> None:
        await calls(client, IN_A_ROW)
        server.fault = Fault.SLOW
        before = len(server.requests)
        server.arrived.clear()
        clock.s += 1.0
        answers = [asyncio.create_task(call(client)) for _ in range(20)]
        await arrived(server)
        done, probe = await asyncio.wait(answers, return_when=asyncio.ALL_COMPLETED, timeout=0.2)
        assert (len(done), len(probe)) == (19, 1)
        assert len(server.requests) == before + 1
        assert value(metrics, "attune_llm_endpoint_state", endpoint="0") == 1
        server.fault = Fault.GOOD
        server.release()
        assert isinstance(await probe.pop(), Completion)
        assert value(metrics, "attune_llm_endpoint_state", endpoint="0") == 0
        server.max_concurrent = 0
        assert all(
            isinstance(answer, Completion) for answer in await asyncio.gather(*(call(client) for _ in range(20)))
        )
        assert server.max_concurrent <= 8
        assert value(metrics, "attune_llm_endpoint_limit", endpoint="0") == 8

    with FakeLlm() as server:
        server.fault = Fault.RESET
        pool([server], use, metrics, clock)


def test_a_server_that_dies_and_comes_back_at_its_address_is_used_again() -> None:
    clock = Clock()
    with ExitStack() as stack:
        server = stack.enter_context(FakeLlm())
        port = int(server.base_url.rpartition(":")[2])

        async def use(client: OpenAiModel) -> None:
            assert isinstance(await call(client), Completion)
            await asyncio.to_thread(stack.close)
            failures = [await call(client) for _ in range(IN_A_ROW + 1)]
            assert [error.reason for error in failures if isinstance(error, Retryable)] == [
                *["connection"] * IN_A_ROW,
                "unavailable",
            ]
            await asyncio.to_thread(stack.enter_context, FakeLlm(port=port))
            clock.s += 1.0
            assert isinstance(await call(client), Completion)

        pool([server], use, now_s=clock)


def test_a_server_that_names_a_time_is_left_alone_for_it(servers: list[FakeLlm]) -> None:
    clock = Clock()

    async def use(client: OpenAiModel) -> None:
        servers[0].fault = Fault.BUSY  # Retry-After: 7
        first, second = await call(client), await call(client)
        assert isinstance(first, Retryable)
        assert first.reason == "busy"
        assert isinstance(second, Retryable)
        assert (second.reason, second.retry_after_s) == ("unavailable", 7.0)
        servers[0].fault = Fault.GOOD
        clock.s += 7.0
        assert isinstance(await call(client), Completion)

    pool(servers[:1], use, now_s=clock)
    assert len(servers[0].requests) == 2


# -- who waits -------------------------------------------------------------------------------------------------------


def test_the_most_important_that_wait_go_first_and_ghosts_do_not_wait() -> None:
    metrics = WorkerMetrics()

    async def use(client: OpenAiModel) -> None:
        holding = asyncio.create_task(call(client, text="holds"))
        await arrived(server)
        ghost = await call(client, priority=GHOST)
        assert isinstance(ghost, Retryable)
        assert ghost.reason == "shed"
        waiting = [asyncio.create_task(call(client, text=str(priority), priority=priority)) for priority in (3, 9, 5)]
        await asyncio.sleep(0)
        assert value(metrics, "attune_llm_waiting") == 3
        server.release()
        await asyncio.gather(holding, *waiting)

    with FakeLlm() as server:
        server.text = "warm light"
        server.fault = Fault.SLOW
        pool([server], use, metrics, llm_in_flight=1)
    assert texts(server) == ["holds", "9", "5", "3"]
    assert value(metrics, "attune_llm_waiting") == 0
    assert value(metrics, "attune_llm_shed_total", priority="ghost", reason="late") == 1


def test_the_room_is_bounded_and_the_least_important_leaves_it() -> None:
    async def use(client: OpenAiModel) -> None:
        holding = asyncio.create_task(call(client, text="holds"))
        await arrived(server)
        low = [asyncio.create_task(call(client, text="low", priority=2)) for _ in range(ROOM_PER_SLOT)]
        high = [asyncio.create_task(call(client, text="high", priority=8)) for _ in range(4)]
        shed = await asyncio.gather(*low[-4:])
        assert {error.reason for error in shed if isinstance(error, Retryable)} == {"shed"}
        server.release()
        assert all(isinstance(answer, Completion) for answer in await asyncio.gather(holding, *high, *low[:-4]))

    with FakeLlm() as server:
        server.text = "warm light"
        server.fault = Fault.SLOW
        pool([server], use, llm_in_flight=1)
    assert texts(server)[1:5] == ["high"] * 4


def test_a_turn_that_would_come_too_late_is_given_up_at_once() -> None:
    clock, metrics = Clock(), WorkerMetrics()

    async def use(client: OpenAiModel) -> None:
        first = asyncio.create_task(call(client))
        await arrived(server)
        clock.s += 9.0  # the only call that is known took 9 s
        server.release()
        await first
        server.hold()
        holding = asyncio.create_task(call(client))
        await arrived(server)
        late = await call(client, priority=3)  # may wait 8 s of 20
        assert isinstance(late, Retryable)
        assert late.reason == "shed"
        waits = asyncio.create_task(call(client, priority=9))
        await asyncio.sleep(0)
        assert not waits.done()
        waits.cancel()
        holding.cancel()

    with FakeLlm() as server:
        server.text = "warm light"
        server.fault = Fault.SLOW
        pool([server], use, metrics, clock, llm_in_flight=1)
    assert value(metrics, "attune_llm_shed_total", priority="3", reason="late") == 1


def test_in_a_replay_nobody_is_shed() -> None:
    async def use(client: OpenAiModel) -> None:
        waiting = [asyncio.create_task(call(client, priority=GHOST)) for _ in range(ROOM_PER_SLOT + 10)]
        await arrived(server)
        server.release()
        assert all(isinstance(answer, Completion) for answer in await asyncio.gather(*waiting))

    with FakeLlm() as server:
        server.text = "warm light"
        server.fault = Fault.SLOW
        pool([server], use, llm_in_flight=1, clock="event")


def test_waiting_calls_that_are_cancelled_or_closed_leave_no_slot_taken() -> None:
    async def use(client: OpenAiModel) -> None:
        holding = asyncio.create_task(call(client))
        await arrived(server)
        waiting = [asyncio.create_task(call(client, priority=9)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        server.release()
        await holding
        waiting[1].cancel()  # perhaps in the moment in which its turn comes
        assert isinstance(await waiting[2], Completion)
        assert isinstance(await call(client), Completion)
        server.hold()
        last = asyncio.create_task(call(client))
        await arrived(server)
        left = asyncio.create_task(call(client, priority=9))
        await asyncio.sleep(0)
        await client.close()
        for task in (last, left):
            error = await task
            assert isinstance(error, Retryable)
            assert error.reason == "connection"

    with FakeLlm() as server:
        server.text = "warm light"
        server.fault = Fault.SLOW
        pool([server], use, llm_in_flight=1)


# -- how many at once ------------------------------------------------------------------------------------------------


def test_a_queue_that_vllm_reports_lowers_the_limit_and_shows_in_the_metrics(servers: list[FakeLlm]) -> None:
    server, metrics, clock = servers[0], WorkerMetrics(), Clock()
    server.page = PAGE.format(running=6.0, waiting=6.0)

    async def use(client: OpenAiModel) -> None:
        server.fault = Fault.SLOW
        running = [asyncio.create_task(call(client)) for _ in range(8)]
        await arrived(server)
        for _ in range(2):
            await client.poll()
            clock.s += 2.0
        assert value(metrics, "attune_llm_endpoint_limit", endpoint="0") == 4
        server.release()
        await asyncio.gather(*running)

    pool([server], use, metrics, clock)
    assert value(metrics, "attune_llm_server_running", endpoint="0") == 6
    assert value(metrics, "attune_llm_server_waiting", endpoint="0") == 6
    assert value(metrics, "attune_llm_server_kv_cache_usage_ratio", endpoint="0") == 0.25


def test_a_fault_in_reading_the_load_is_logged_and_the_next_poll_goes_on(
    servers: list[FakeLlm], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(client_module, "POLL_S", 0.0)
    polls = 0

    async def use(client: OpenAiModel) -> None:
        again = asyncio.Event()

        async def poll() -> None:
            nonlocal polls
            polls += 1
            if polls == 1:
                raise ZeroDivisionError
            again.set()

        monkeypatch.setattr(client, "poll", poll)
        assert isinstance(await call(client), Completion)
        await asyncio.wait_for(again.wait(), PATIENCE_S)

    pool(servers[:1], use)
    assert "the load of the LLM servers cannot be read" in caplog.text


@pytest.mark.parametrize(
    "page",
    [
        None, "", "<html>", "vllm:num_requests_running 1\n", "vllm:num_requests_running NaN\nvllm:num_requests_waiting 1e999\n",
        "vllm:num_requests_running -1\nvllm:num_requests_waiting 9\n", "x" * (5 << 20),
    ],
    ids=["none", "empty", "html", "half", "nan", "negative", "5 MB"],
)  # fmt: skip
def test_a_server_without_a_sound_page_works_by_its_answers_alone(page: str | None) -> None:
    metrics = WorkerMetrics()

    async def use(client: OpenAiModel) -> None:
        for _ in range(3):
            await client.poll()
        assert isinstance(await call(client), Completion)

    with FakeLlm() as server:
        server.page = page
        pool([server], use, metrics)
    assert value(metrics, "attune_llm_endpoint_limit", endpoint="0") == 8
    assert value(metrics, "attune_llm_endpoint_state", endpoint="0") == 0


def test_a_server_that_sheds_load_gets_fewer_calls(servers: list[FakeLlm]) -> None:
    metrics = WorkerMetrics()
    servers[0].reply_with(429)
    pool(servers[:1], call, metrics)
    assert value(metrics, "attune_llm_endpoint_limit", endpoint="0") == 5


# -- adapters, priorities, labels ------------------------------------------------------------------------------------


def test_an_adapter_is_asked_for_where_it_is_served_and_found_when_it_appears() -> None:
    metrics, clock = WorkerMetrics(), Clock()

    async def use(client: OpenAiModel) -> None:
        await client.check()
        known = await client.complete(request(model="warm-lora"), PATIENCE_S)
        missing = await client.complete(request(model="new-lora"), PATIENCE_S)
        assert (known.model, known.adapter) == (MODEL, "warm-lora")
        assert (missing.model, missing.adapter) == (MODEL, "")
        server.adapters += ("new-lora",)
        await client.poll()
        assert (await client.complete(request(model="new-lora"), PATIENCE_S)).adapter == "new-lora"

    with FakeLlm(adapters=("warm-lora",)) as server:
        pool([server], use, metrics, clock, model="")
    assert [body["model"] for body in server.requests[1:]] == ["warm-lora", MODEL, "new-lora"]
    assert value(metrics, "attune_llm_adapter_missing_total", endpoint="0") == 1


def test_an_adapter_that_is_gone_is_forgotten_and_the_next_try_has_the_base_model() -> None:
    async def use(client: OpenAiModel) -> None:
        await client.check()
        server.adapters = ()
        gone = await call(client, model="warm-lora")
        assert isinstance(gone, Retryable)
        assert (await client.complete(request(model="warm-lora"), PATIENCE_S)).adapter == ""

    with FakeLlm(adapters=("warm-lora",)) as server:
        pool([server], use)


def test_priorities_go_on_the_wire_only_where_the_setting_says_so(servers: list[FakeLlm]) -> None:
    async def use(client: OpenAiModel) -> None:
        for priority in (9, 0, GHOST):
            await call(client, priority=priority)

    pool(servers[:1], use)
    pool(servers[1:], use, llm_vllm_priority=True)
    assert all("priority" not in body for body in servers[0].requests)
    assert [body["priority"] for body in servers[1].requests] == [0, 9, 10]


def test_a_server_that_refuses_priorities_stops_the_start_with_the_cure(servers: list[FakeLlm]) -> None:
    servers[0].reply_with(400)
    with pytest.raises(Misconfigured, match="ATTUNE_LLM_VLLM_PRIORITY"):
        pool(servers, lambda client: client.check(), llm_vllm_priority=True)


def test_metrics_name_servers_by_their_place_and_nothing_of_their_address() -> None:
    metrics = WorkerMetrics()
    with FakeLlm() as server:
        url = server.base_url.replace("://", "://me:sesame@")
        settings = Settings().changed(llm=f"{url},http://127.0.0.1:9", llm_model=MODEL)

        async def use() -> None:
            async with OpenAiModel(settings, metrics) as client:
                await client.check()
                await client.poll()
                await calls(client, 5)

        asyncio.run(use())
    page = generate_latest(metrics.registry).decode()
    assert "sesame" not in page
    assert "127.0.0.1" not in page
    assert 'attune_llm_endpoint_state{endpoint="1"} 2.0' in page
    assert 'attune_llm_endpoint_calls_total{endpoint="0",error_type=""} 5.0' in page


# -- the check at the start ------------------------------------------------------------------------------------------


def test_one_server_that_is_down_is_a_warning_and_gets_no_calls(caplog: pytest.LogCaptureFixture) -> None:
    async def use(client: OpenAiModel) -> None:
        assert await client.check() == MODEL
        assert all(isinstance(answer, Completion) for answer in await calls(client, 20))

    with FakeLlm() as good:
        good.text = "warm light"
        with FakeLlm() as down:
            pass
        pool([down, good], use, now_s=Clock())
    assert down.base_url in caplog.text


def test_when_all_are_down_the_error_names_them_all() -> None:
    with FakeLlm() as first, FakeLlm() as second:
        pass
    with pytest.raises(Unavailable) as caught:
        pool([first, second], lambda client: client.check())
    assert first.base_url in str(caught.value)
    assert second.base_url in str(caught.value)


def test_one_server_with_another_model_or_key_stops_the_start_and_is_named(servers: list[FakeLlm]) -> None:
    with FakeLlm(models=("other",)) as wrong:
        with pytest.raises(Misconfigured, match=wrong.base_url):
            pool([*servers, wrong], lambda client: client.check())
        with pytest.raises(Misconfigured, match="different models") as caught:
            pool([*servers, wrong], lambda client: client.check(), model="")
        assert wrong.base_url in str(caught.value)
    with FakeLlm(api_key="right") as locked, pytest.raises(Misconfigured, match=locked.base_url):
        pool([*servers, locked], lambda client: client.check())


def test_a_server_that_comes_up_later_with_another_model_is_left_alone() -> None:
    async def use(client: OpenAiModel) -> None:
        port = int(down.base_url.rpartition(":")[2])
        assert await client.check() == MODEL
        clock.s += 1.0
        with FakeLlm(models=("other",), port=port) as wrong:
            answers = await calls(client, 20)
            assert wrong.requests == []
        assert [error.reason for error in answers if isinstance(error, Retryable)] == ["unavailable"]

    clock = Clock()
    with FakeLlm() as good:
        good.text = "warm light"
        with FakeLlm() as down:
            pass
        pool([down, good], use, now_s=clock, model="")
