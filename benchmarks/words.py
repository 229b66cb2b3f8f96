"""Measures the role `generate`: its LLM calls/s compared with the bare server for the same requests at the same concurrency,
its own cost per message with a server that costs nothing (benchmarks.model_server), and with the pool, without LLM calls.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from confluent_kafka import Producer

from benchmarks.model_server import Answers, model_server
from benchmarks.processes import cpu_s
from benchmarks.words_bare import Bare, Round
from benchmarks.words_pool import approve_texts, pooled_settings
from infra.llm.locate import LlmServer
from schemas import codec
from schemas.messages import Candidate, MessageRequest
from workers.adapters.kafka import topic_admin
from workers.adapters.kafka.config import client_config
from workers.adapters.kafka.reader import TopicReader
from workers.adapters.playbook.loader import load_for as load_playbook
from workers.core.catalogue import product_facts
from workers.core.generation.templates import template_text
from workers.core.playbook.playbook import Playbook
from workers.core.profile.model import CartLine
from workers.settings import Settings, to_environment

BARE, ROLE, POOLED = "bare server", "generate", "generate, pooled"
MODEL_SERVER, NO_SERVER = "latency model", "none"
_TIMEOUT_S = 900.0
#: Approximate times of a 7 B model on one GPU [s]: to the first token, and for each further one.
_FIRST_TOKEN_S, _TOKEN_S = 0.05, 0.002
_PRODUCTS = 2
_CHANNELS = ("push", "email")
#: An additional concurrency for the latency model: enough to keep one of our cores busy.
_SATURATING = 128
#: Its messages per round and call in flight (with one in flight, a thousand would take minutes), and its rounds.
_EACH, _LIGHT_ROUNDS = 50, 3
#: Warm-up messages, which are not counted: the first calls of a process are slow.
_WARM = 12


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """The result of all rounds of one program. CPU is user and system time of the role's process; 0 for the bare server.

    `rounds`: calls/s of each. `own_share`: the share of texts from the model or the pool; the others are templates.
    """

    server: str
    in_flight: int
    program: str
    messages: int
    calls_per_s: float
    messages_per_s: float
    rounds: list[float] = []
    cpu_ms_per_message: float = 0.0
    own_share: float = 1.0
    input_tokens_per_message: float = 0.0
    output_tokens_per_message: float = 0.0


class Concurrency(msgspec.Struct, frozen=True):
    """Calls in flight on a real server, rounds, and texts per round. A round needs at least as many texts as calls in flight."""

    in_flight: int
    rounds: int
    texts: int


def bench_words(
    settings: Settings,
    servers: tuple[str, ...],
    levels: tuple[Concurrency, ...],
    messages: int,
    say: Callable[[str], None],
) -> list[Words]:
    """Measures every server at every concurrency, alternating role and bare server with the same texts; at most `messages` of the
    latency model at a time; then ten times as many from the pool. Retry calls for a text count like any other.
    """
    playbook = load_playbook(settings)
    found: list[Words] = []
    for server in servers:
        with _served(settings, playbook, server) as url:
            for level in _light(levels, messages) if server == MODEL_SERVER else levels:
                running = settings.changed(
                    llm=url,
                    llm_in_flight=level.in_flight,
                    llm_languages="en",
                    llm_deadline_s=600.0,
                    prefix=f"{settings.prefix}{server[0]}{level.in_flight}.",
                )
                for one in _compared(running, playbook, server, level):
                    found.append(one)
                    cost = f", {one.cpu_ms_per_message:.2f} CPU-ms per message" if one.cpu_ms_per_message else ""
                    say(
                        f"{server}, {one.in_flight:>2} in flight, {one.program:<12} {one.calls_per_s:8.2f} calls/s{cost}"
                    )
    found.append(_pooled(settings, 10 * messages))
    say(f"{POOLED} {found[-1].messages_per_s:,.0f} messages/s, {found[-1].cpu_ms_per_message:.2f} CPU-ms per message")
    return found


def _light(levels: tuple[Concurrency, ...], messages: int) -> list[Concurrency]:
    """Returns the levels for the latency model: far more texts, and an additional concurrency."""
    numbers = [*(level.in_flight for level in levels), _SATURATING]
    return [Concurrency(number, _LIGHT_ROUNDS, max(number, min(messages, _EACH * number))) for number in numbers]


def _compared(settings: Settings, playbook: Playbook, server: str, level: Concurrency) -> list[Words]:
    """Measures the bare server and the role, alternating which starts, so that a machine that slows down affects both equally."""
    bare = Bare(settings, playbook, judges=server != MODEL_SERVER)  # the latency model's answers pass
    bare_rounds, role_rounds = [], []
    with _role(settings) as role:
        role.write([_request(playbook, number, "warm") for number in range(_WARM)])
        for number in range(level.rounds):
            requests = _requests(playbook, level.texts, number)
            if number % 2:
                bare_rounds.append(bare.write(requests))
            role_rounds.append(role.write(requests))
            if not number % 2:
                bare_rounds.append(bare.write(requests))
    return [_words(settings, server, BARE, bare_rounds), _words(settings, server, ROLE, role_rounds)]


def _pooled(settings: Settings, messages: int) -> Words:
    """Measures a campaign with texts generated in advance: the same requests, served from the pool."""
    running = pooled_settings(settings.changed(prefix=f"{settings.prefix}pool."))
    playbook = load_playbook(running)
    topic_admin.apply(running)
    approve_texts(running, playbook, _CHANNELS)
    with _role(running) as role:
        role.write([_request(playbook, number, "warm") for number in range(_WARM)])
        requests = [_request(playbook, number, "bench") for number in range(messages)]
        return _words(running, NO_SERVER, POOLED, [role.write(requests)])


def _words(settings: Settings, server: str, program: str, rounds: list[Round]) -> Words:
    took_s, messages = sum(one.took_s for one in rounds), sum(one.messages for one in rounds)
    candidates = [candidate for one in rounds for candidate in one.candidates]
    own = sum(candidate.generated_by != "template" for candidate in candidates)
    return Words(
        server=server,
        in_flight=settings.llm.in_flight,
        program=program,
        messages=messages,
        calls_per_s=sum(one.calls for one in rounds) / took_s,
        messages_per_s=messages / took_s,
        rounds=[one.calls / one.took_s for one in rounds],
        cpu_ms_per_message=1000 * sum(one.cpu_s for one in rounds) / messages,
        own_share=own / messages if candidates else 1.0,
        input_tokens_per_message=sum(candidate.usage.input_tokens for candidate in candidates) / messages,
        output_tokens_per_message=sum(candidate.usage.output_tokens for candidate in candidates) / messages,
    )


@contextmanager
def _served(settings: Settings, playbook: Playbook, server: str) -> Iterator[str]:
    """Yields the base URL of a server that runs inside the block."""
    if server == MODEL_SERVER:
        with model_server(_answers(playbook), _FIRST_TOKEN_S, _TOKEN_S, Path(settings.data_dir)) as url:
            yield url
        return
    with LlmServer.start(settings.changed(llm=server)) as started:
        yield started.base_url


def _answers(playbook: Playbook) -> Answers:
    """Returns a text for each product and channel that passes the guardrails: the template."""
    answers: Answers = []
    for product in list(playbook.products.values())[:_PRODUCTS]:
        known = product_facts.product_facts(CartLine(product.product_id), product.currency, playbook, "en")
        for channel, field in (("email", '"email_subject":{'), ("push", "")):
            text, _ = template_text(playbook, "cart-abandonment", "en", "young", channel, known)
            fields = {name: value for name, value in msgspec.structs.asdict(text).items() if value}
            answers.append(([f"<<<{known.name}>>>", *([field] if field else [])], json.dumps(fields)))
    return [*answers, ([], "{}")]


def _requests(playbook: Playbook, texts: int, number: int) -> list[MessageRequest]:
    """Returns the requests of one round in random order: a server caches the last prompts, so the order determines how many
    tokens it reads again (the embedded one 3,500 to 6,000 for 32 texts), and the role's order is not that of the bare loop.
    """
    requests = [_request(playbook, text, f"bench-{number}") for text in range(texts)]
    random.Random(number).shuffle(requests)
    return requests


def _request(playbook: Playbook, number: int, name: str) -> MessageRequest:
    product = list(playbook.products.values())[number % _PRODUCTS]
    group = playbook.audiences.target_groups[number % len(playbook.audiences.target_groups)]
    now = datetime.now(UTC)
    return MessageRequest(
        message_id=f"{name}-{number}",
        decision_id=f"{name}-{number}",
        user_id=f"u{number}",
        customer_ref=f"ref{number}",
        campaign_id="cart-abandonment",
        channel=_CHANNELS[number // _PRODUCTS % len(_CHANNELS)],
        language="en",
        locale="en-GB",
        target_group=group.id,
        prompt="cart-abandonment",
        prompt_version=playbook.prompts["cart-abandonment", "en"].version,
        product=product_facts.product_facts(CartLine(product.product_id), product.currency, playbook, "en"),
        requested_at=now,
        deadline_at=now + timedelta(hours=1),
    )


@contextmanager
def _role(settings: Settings) -> Iterator[_Role]:
    """Runs `generate` as a process inside the block."""
    topic_admin.apply(settings)
    command = [sys.executable, "-m", "workers.cli", "worker", "generate"]
    with (Path(settings.data_dir) / "generate.log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **to_environment(settings)}, stdout=log, stderr=log)
        try:
            with TopicReader(settings, ["message.candidates"]) as reader:
                yield _Role(settings, process, reader, log.name)
        finally:
            process.terminate()
            process.wait(60)


class _Role:
    """The running role: writes its requests and reads its candidates."""

    def __init__(self, settings: Settings, process: subprocess.Popen[bytes], reader: TopicReader, log: str) -> None:
        self._topic = settings.topic("message.requests")
        self._producer = Producer({**client_config(settings), "partitioner": "murmur2_random"})
        self._process = process
        self._reader = reader
        self._log = log

    def write(self, requests: list[MessageRequest]) -> Round:
        """Measures one round: from the first request until the last candidate is appended on the broker."""
        cpu_before_s, started_s = cpu_s(self._process.pid), time.time()
        for request in requests:
            self._producer.produce(self._topic, key=request.user_id, value=codec.encode(request))
            self._producer.poll(0)
        assert self._producer.flush(30) == 0
        candidates: list[Candidate] = []
        ended_s, deadline_s = started_s, time.monotonic() + _TIMEOUT_S
        while len(candidates) < len(requests):
            assert self._process.poll() is None, f"generate exited: see {self._log}"
            assert time.monotonic() < deadline_s, "generate did not finish"
            for record in self._reader.poll(0.2):
                candidates.append(codec.decode(Candidate, record.value))
                ended_s = max(ended_s, record.appended_at_s)
        return Round(
            took_s=ended_s - started_s,
            calls=sum(candidate.usage.calls for candidate in candidates),
            messages=len(candidates),
            cpu_s=cpu_s(self._process.pid) - cpu_before_s,
            candidates=candidates,
        )
