"""Measures the role `generate`: its LLM calls/s beside the bare server asked the same questions at the same concurrency,
what a message costs us when the server costs nothing (benchmarks.model_server), and one from the pool, without a call.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from pathlib import Path

import aiohttp
import msgspec
from confluent_kafka import Producer

from benchmarks.model_server import Answers, model_server
from benchmarks.processes import cpu_s
from benchmarks.words_pool import approve_texts, pooled_settings
from infra.llm.locate import LlmServer
from infra.llm.process import free_port
from schemas import codec
from schemas.messages import Candidate, MessageRequest
from workers.adapters import topic_admin
from workers.adapters.kafka_config import client_config
from workers.adapters.language import detector
from workers.adapters.llm_wire import decode_reply, encode_request
from workers.adapters.playbook_files import load_for as load_playbook
from workers.adapters.topic_reader import TopicReader
from workers.core import facts
from workers.core.fallback import template_text
from workers.core.playbook import Playbook
from workers.core.profile import CartLine
from workers.core.writing import Draft
from workers.settings import Settings, to_environment

BARE, ROLE, POOLED = "bare server", "generate", "generate, pooled"
MODEL_SERVER, NO_SERVER = "latency model", "none"
_TIMEOUT_S = 900.0
#: About what a 7 B model on one GPU takes [s]: to the first token, and for each further one.
_FIRST_TOKEN_S, _TOKEN_S = 0.05, 0.002
_PRODUCTS = 2
_CHANNELS = ("push", "email")
#: What the latency model is asked at once on top of what real servers are: enough to keep one core of ours busy.
_CROWD = 128
#: Messages for each one in flight: with one in flight a thousand would take minutes and say no more.
_ROUNDS = 100


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """One run. CPU is user and system time of the role's process alone; 0 for the bare server.

    `calls_per_s` are the calls that ended while as many were in flight as may be.
    `own_share`: how many of the texts were the model's own or the pool's, the others were templates.
    """

    server: str
    in_flight: int
    program: str
    messages: int
    calls_per_s: float
    messages_per_s: float
    cpu_ms_per_message: float = 0.0
    own_share: float = 1.0
    input_tokens_per_message: float = 0.0
    output_tokens_per_message: float = 0.0


def bench_words(
    settings: Settings,
    servers: tuple[str, ...],
    in_flight: tuple[int, ...],
    calls: int,
    messages: int,
    say: Callable[[str], None],
) -> list[Words]:
    """Every server at every concurrency, the role and then bare; `calls` of the real servers, at most `messages` of the
    latency model; then ten times as many from the pool. Calls of a text's re-ask count like any other.
    """
    playbook = load_playbook(settings)
    found: list[Words] = []
    for server in servers:
        with _served(settings, playbook, server) as url:
            for number in (*in_flight, _CROWD) if server == MODEL_SERVER else in_flight:
                count = min(messages, _ROUNDS * number) if server == MODEL_SERVER else max(calls, 2 * number)
                running = msgspec.structs.replace(
                    settings,
                    llm=url,
                    llm_in_flight=number,
                    llm_languages="en",
                    llm_deadline_s=600.0,
                    prefix=f"{settings.prefix}{server[0]}{number}.",
                )
                requests = [_request(playbook, number) for number in range(count)]
                for one in (
                    _role(running, requests, server),
                    asyncio.run(_bare(running, playbook, requests, server)),
                ):
                    found.append(one)
                    cost = f", {one.cpu_ms_per_message:.2f} CPU-ms a message" if one.cpu_ms_per_message else ""
                    say(f"{server}, {number:>2} in flight, {one.program:<12} {one.calls_per_s:8.2f} calls/s{cost}")
    found.append(_pooled(settings, 10 * messages))
    say(f"{POOLED} {found[-1].messages_per_s:,.0f} messages/s, {found[-1].cpu_ms_per_message:.2f} CPU-ms a message")
    return found


def _pooled(settings: Settings, messages: int) -> Words:
    """A campaign whose texts are written ahead: the same requests, answered from the pool."""
    running = pooled_settings(msgspec.structs.replace(settings, prefix=f"{settings.prefix}pool."))
    playbook = load_playbook(running)
    topic_admin.apply(running)
    approve_texts(running, playbook, _CHANNELS)
    return _role(running, [_request(playbook, number) for number in range(messages)], NO_SERVER)


@contextmanager
def _served(settings: Settings, playbook: Playbook, server: str) -> Iterator[str]:
    """The base URL of a server that runs inside the block."""
    if server == MODEL_SERVER:
        with model_server(_answers(playbook), _FIRST_TOKEN_S, _TOKEN_S, Path(settings.data_dir)) as url:
            yield url
        return
    with LlmServer.start(msgspec.structs.replace(settings, llm=server)) as started:
        yield started.base_url


def _answers(playbook: Playbook) -> Answers:
    """A text for each product and channel that passes the guardrails: the hand-written one."""
    answers: Answers = []
    for product in list(playbook.products.values())[:_PRODUCTS]:
        known = facts.product_facts(CartLine(product.product_id), product.currency, playbook, "en")
        for channel, field in (("email", '"email_subject":{'), ("push", "")):
            text, _ = template_text(playbook, "cart-abandonment", "en", "young", channel, known)
            fields = {name: value for name, value in msgspec.structs.asdict(text).items() if value}
            answers.append(([f"<<<{known.name}>>>", *([field] if field else [])], json.dumps(fields)))
    return [*answers, ([], "{}")]


def _request(playbook: Playbook, number: int) -> MessageRequest:
    product = list(playbook.products.values())[number % _PRODUCTS]
    group = playbook.audiences.target_groups[number % len(playbook.audiences.target_groups)]
    now = datetime.now(UTC)
    return MessageRequest(
        message_id=f"bench-{number}",
        decision_id=f"bench-{number}",
        user_id=f"u{number}",
        customer_ref=f"ref{number}",
        campaign_id="cart-abandonment",
        channel=_CHANNELS[number // _PRODUCTS % len(_CHANNELS)],
        language="en",
        locale="en-GB",
        target_group=group.id,
        prompt="cart-abandonment",
        prompt_version=playbook.prompts["cart-abandonment", "en"].version,
        product=facts.product_facts(CartLine(product.product_id), product.currency, playbook, "en"),
        requested_at=now,
        deadline_at=now + timedelta(hours=1),
    )


async def _bare(settings: Settings, playbook: Playbook, requests: list[MessageRequest], server: str) -> Words:
    """The same questions in a plain loop of HTTP calls: nothing of ours but the bytes, and of a real server's answers
    whether they pass. Those that do not are asked again as the role does, so that both ask for the same work.

    Counted like the role's, until as many texts are left as may be in flight.
    """
    language, model_server_answers = detector(playbook.languages), server == MODEL_SERVER
    drafts = [Draft(playbook, request, language, max_tokens=settings.llm_max_tokens) for request in requests]
    questions = [call for draft in drafts if (call := draft.next_call()) is not None]
    limits = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=limits, headers={"Content-Type": "application/json"}) as session:
        async with session.get(f"{settings.llm}/v1/models") as models:
            model = (await models.json())["data"][0]["id"]
        waiting = iter([(draft, encode_request(call, model)) for draft, call in zip(drafts, questions, strict=True)])
        calls, calls_at, ended_s = 0, [], []

        async def write() -> None:
            nonlocal calls
            for draft, first in waiting:
                body: bytes | None = first
                while body is not None:
                    async with session.post(f"{settings.llm}/v1/chat/completions", data=body) as answer:
                        assert answer.status == 200
                        told = await answer.read()
                    calls, body = calls + 1, None
                    if not model_server_answers:
                        draft.answer(decode_reply(told, model, 0.0))
                        again = draft.next_call()
                        body = None if again is None else encode_request(again, model)
                ended_s.append(time.perf_counter())
                calls_at.append(calls)

        started_s = time.perf_counter()
        await asyncio.gather(*(write() for _ in range(settings.llm_in_flight)))
    counted = len(requests) - settings.llm_in_flight
    took_s = ended_s[counted - 1] - started_s
    return Words(
        server=server,
        in_flight=settings.llm_in_flight,
        program=BARE,
        messages=len(requests),
        calls_per_s=calls_at[counted - 1] / took_s,
        messages_per_s=counted / took_s,
    )


def _role(settings: Settings, requests: list[MessageRequest], server: str) -> Words:
    """The role as a process, its requests waiting; rates from the first request to a candidate's append on the broker.

    That candidate behind which as many are left as may be in flight: the last ones wait for each other's second calls.
    """
    port = free_port("127.0.0.1")
    settings = msgspec.structs.replace(settings, metrics_port_generate=port)
    topic_admin.apply(settings)
    producer = Producer({**client_config(settings), "partitioner": "murmur2_random"})
    log = (Path(settings.data_dir) / "generate.log").open("wb")
    environment = {**os.environ, **to_environment(settings)}
    command = [sys.executable, "-m", "workers.cli", "worker", "generate"]
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        deadline_s = time.monotonic() + _TIMEOUT_S
        with TopicReader(settings, ["message.candidates"]) as reader:
            warm = [msgspec.structs.replace(one, message_id=f"warm-{one.message_id}") for one in requests[:12]]
            _ask(settings, producer, warm)
            _answered(reader, len(warm), process, deadline_s, log.name)
            calls_before, cpu_before_s, started_s = _calls(port), cpu_s(process.pid), time.time()
            _ask(settings, producer, requests)
            counted = len(requests) - settings.llm_in_flight
            answered = _answered(reader, counted, process, deadline_s, log.name)
            calls, counted_s = _calls(port) - calls_before, time.time() - started_s
            answered += _answered(reader, len(requests) - len(answered), process, deadline_s, log.name)
            cpu_spent_s = cpu_s(process.pid) - cpu_before_s
    finally:
        process.terminate()
        process.wait(60)
        log.close()
    candidates = [candidate for _, candidate in answered]
    count, took_s = len(candidates), answered[counted - 1][0] - started_s
    return Words(
        server=server,
        in_flight=settings.llm_in_flight,
        program=POOLED if server == NO_SERVER else ROLE,
        messages=count,
        calls_per_s=calls / counted_s,
        messages_per_s=counted / took_s,
        cpu_ms_per_message=1000 * cpu_spent_s / count,
        own_share=sum(one.generated_by != "template" for one in candidates) / count,
        input_tokens_per_message=sum(one.usage.input_tokens for one in candidates) / count,
        output_tokens_per_message=sum(one.usage.output_tokens for one in candidates) / count,
    )


def _calls(port: int) -> int:
    """How many calls of the LLM have ended, says the role."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
        found = re.findall(rb"^attune_llm_endpoint_calls_total\S* (\S+)$", page.read(), re.MULTILINE)
    return int(sum(map(float, found)))


def _ask(settings: Settings, producer: Producer, requests: list[MessageRequest]) -> None:
    for request in requests:
        producer.produce(settings.topic("message.requests"), key=request.user_id, value=codec.encode(request))
        producer.poll(0)
    assert producer.flush(30) == 0


def _answered(
    reader: TopicReader, count: int, process: subprocess.Popen[bytes], deadline_s: float, log: str
) -> list[tuple[float, Candidate]]:
    """So many candidates, in the order in which they were appended, and when [s since the epoch]."""
    found: list[tuple[float, Candidate]] = []
    while len(found) < count:
        assert process.poll() is None, f"generate ended: see {log}"
        assert time.monotonic() < deadline_s, "generate did not finish"
        found += [(record.appended_at_s, codec.decode(Candidate, record.value)) for record in reader.poll(0.2)]
    return sorted(found, key=itemgetter(0))
