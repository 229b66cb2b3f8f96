"""Measures LLM calls/s of the role `generate`, and of the bare server asked the same questions at the same concurrency."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from confluent_kafka import Producer

from infra.llm.locate import LlmServer
from schemas import codec
from schemas.messages import Candidate, MessageRequest
from workers.adapters import topic_admin
from workers.adapters.kafka_config import client_config
from workers.adapters.llm import OpenAiModel
from workers.adapters.playbook_files import load as load_playbook
from workers.adapters.topic_reader import TopicReader
from workers.core import facts
from workers.core.playbook import Playbook
from workers.core.profile import CartLine
from workers.core.writing import Draft
from workers.ports import CompletionRequest
from workers.settings import Settings, to_environment

_TIMEOUT_S = 900.0


def bench_generate(settings: Settings, texts: int, in_flight: int, runs: int = 2) -> dict[str, list[dict[str, float]]]:
    """Interleaves bare server and role; calls of a text's re-ask count like any other."""
    playbook = load_playbook(Path(settings.playbook))
    results: dict[str, list[dict[str, float]]] = {"bare server": [], "generate": []}
    with LlmServer.start(settings) as server:
        settings = msgspec.structs.replace(settings, llm=server.base_url, llm_in_flight=in_flight, llm_deadline_s=600.0)
        for run in range(runs):
            prefixed = msgspec.structs.replace(settings, prefix=f"{settings.prefix}{run}.")
            requests = [_request(playbook, run * texts + number) for number in range(texts)]
            results["bare server"].append(asyncio.run(_bare(prefixed, playbook, requests)))
            results["generate"].append(_role(prefixed, requests))
    return results


def _request(playbook: Playbook, number: int) -> MessageRequest:
    product = list(playbook.products.values())[number % 2]
    group = playbook.audiences.target_groups[number % len(playbook.audiences.target_groups)]
    now = datetime.now(UTC)
    return MessageRequest(
        message_id=f"bench-{number}",
        decision_id=f"bench-{number}",
        user_id=f"u{number}",
        customer_ref=f"ref{number}",
        campaign_id="cart-abandonment",
        channel=("push", "email")[number % 2],
        language="en",
        locale="en-GB",
        target_group=group.id,
        prompt="cart-abandonment",
        prompt_version=playbook.prompts["cart-abandonment", "en"].version,
        product=facts.product_facts(CartLine(product.product_id), product.currency, playbook, "en"),
        requested_at=now,
        deadline_at=now + timedelta(hours=1),
    )


async def _bare(settings: Settings, playbook: Playbook, requests: list[MessageRequest]) -> dict[str, float]:
    """The first questions of the same texts, with nothing of ours around the calls."""
    questions = [call for request in requests if (call := Draft(playbook, request).next_call()) is not None]
    slots = asyncio.Semaphore(settings.llm_in_flight)
    async with OpenAiModel(settings) as model:
        await model.check()

        async def ask(question: CompletionRequest) -> None:
            async with slots:
                await model.complete(question, 600.0)

        started = time.perf_counter()
        await asyncio.gather(*map(ask, questions))
        return {"calls_per_s": len(questions) / (time.perf_counter() - started)}


def _role(settings: Settings, requests: list[MessageRequest]) -> dict[str, float]:
    """The role as a process, its requests waiting; from the first to the last candidate's append on the broker."""
    topic_admin.apply(settings)
    producer = Producer({**client_config(settings), "partitioner": "murmur2_random"})
    log = (Path(settings.data_dir) / "generate.log").open("wb")
    environment = {**os.environ, **to_environment(settings)}
    command = [sys.executable, "-m", "workers.cli", "worker", "generate"]
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + _TIMEOUT_S
        with TopicReader(settings, ["message.candidates"]) as reader:
            warm = msgspec.structs.replace(requests[0], message_id="warm")
            producer.produce(settings.topic("message.requests"), key=warm.user_id, value=codec.encode(warm))
            producer.flush(30)
            while not reader.poll(0.2):  # the role is up and has answered once
                assert process.poll() is None, f"generate ended: see {log.name}"
            started_s = time.time()
            for request in requests:
                producer.produce(settings.topic("message.requests"), key=request.user_id, value=codec.encode(request))
            producer.flush(30)
            calls, done, last_s = 0, 0, started_s
            while done < len(requests):
                assert time.monotonic() < deadline, "generate did not finish"
                for record in reader.poll(0.2):
                    candidate = codec.decode(Candidate, record.value)
                    calls, done, last_s = calls + candidate.usage.calls, done + 1, max(last_s, record.appended_at_s)
        return {"calls_per_s": calls / (last_s - started_s)}
    finally:
        process.terminate()
        process.wait(60)
        log.close()
