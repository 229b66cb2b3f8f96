"""Spans of the LLM calls, as a collector gets them by OTLP over HTTP."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from tests.support.llm import MODEL, FakeLlm, Fault
from workers.adapters.llm.client import OpenAiModel
from workers.adapters.observability.trace_factory import traces_of
from workers.core.errors import Misconfigured, Retryable
from workers.core.generation.llm import ChatMessage, CompletionRequest
from workers.settings import Settings

TEXT = "Alice likes lamps"
MESSAGE_ID = "0af7651916cd43dd8448eb211c80319c"
CALL = CompletionRequest(messages=(ChatMessage("user", TEXT),), max_tokens=40, seed=7, message_id=MESSAGE_ID)


class Collector:
    """Takes spans at `url`; `bodies` is what came, byte for byte."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        bodies = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1/traces"

    @property
    def spans(self) -> list[Any]:
        return [
            span
            for body in self.bodies
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()
    thread = Thread(target=found.server.serve_forever, args=(0.01,))
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


@pytest.fixture
def fake() -> Iterator[FakeLlm]:
    with FakeLlm() as server:
        yield server


def ask(fake: FakeLlm, traces_url: str, *calls: CompletionRequest, share: float = 1.0) -> list[object]:
    """What became of the calls."""

    async def run() -> list[object]:
        settings = Settings().changed(llm=fake.base_url, traces_url=traces_url, traces_share=share)
        async with OpenAiModel(settings) as model:
            return [*await asyncio.gather(*(model.complete(call, 10.0) for call in calls), return_exceptions=True)]

    return asyncio.run(run())


def attributes(span: Any) -> dict[str, object]:
    return {one.key: _plain(one.value) for one in span.attributes}


def _plain(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    assert kind is not None
    return [_plain(one) for one in value.array_value.values] if kind == "array_value" else getattr(value, kind)


def test_a_call_is_a_span_whose_trace_has_the_messages_id(fake: FakeLlm, collector: Collector) -> None:
    fake.text = "warm light"
    ask(fake, collector.url, CALL)
    (span,) = collector.spans
    assert (span.name, span.trace_id.hex()) == (f"chat {MODEL}", MESSAGE_ID)
    known = attributes(span)
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": MODEL,
        "gen_ai.response.model": MODEL,
        "gen_ai.request.max_tokens": 40,
        "gen_ai.request.seed": 7,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.output_tokens": 2,
        "server.address": "127.0.0.1",
    }
    assert expected.items() <= known.items()
    assert "error.type" not in known


def test_the_server_is_told_the_trace(fake: FakeLlm, collector: Collector) -> None:
    ask(fake, collector.url, CALL)
    (span,) = collector.spans
    assert fake.headers[-1]["traceparent"] == f"00-{MESSAGE_ID}-{span.span_id.hex()}-01"


def test_no_text_leaves_by_a_span(fake: FakeLlm, collector: Collector) -> None:
    fake.text = "a secret answer"
    ask(fake, collector.url, CALL)
    sent = b"".join(collector.bodies)
    assert MODEL.encode() in sent, "what is looked for below would be found"
    assert TEXT.encode() not in sent
    assert b"a secret answer" not in sent


def test_a_call_that_is_given_up_is_a_span_too(fake: FakeLlm, collector: Collector) -> None:
    fake.fault = Fault.SLOW

    async def run() -> None:
        async with OpenAiModel(Settings().changed(llm=fake.base_url, traces_url=collector.url)) as model:
            call = asyncio.create_task(model.complete(CALL, 60.0))
            await asyncio.to_thread(fake.arrived.wait, 30.0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    asyncio.run(run())
    (span,) = collector.spans
    assert attributes(span)["error.type"] == "cancelled"


def test_a_call_that_fails_says_how(fake: FakeLlm, collector: Collector) -> None:
    fake.fault = Fault.BROKEN
    (error,) = ask(fake, collector.url, CALL)
    assert isinstance(error, Retryable)
    (span,) = collector.spans
    assert attributes(span)["error.type"] == "server_error"
    assert span.status.code == span.status.STATUS_CODE_ERROR


def test_calls_without_a_message_and_calls_at_the_same_time_keep_apart(fake: FakeLlm, collector: Collector) -> None:
    others = [CompletionRequest(messages=CALL.messages, message_id=f"{number:032x}") for number in range(1, 30)]
    ask(fake, collector.url, CompletionRequest(messages=CALL.messages), CALL, *others)
    traces = {span.trace_id.hex() for span in collector.spans}
    assert len(traces) == 31
    assert {MESSAGE_ID, *(call.message_id for call in others)} < traces
    assert {header["traceparent"][3:35] for header in fake.headers} == traces


def test_only_a_share_of_the_messages_is_told(fake: FakeLlm, collector: Collector) -> None:
    assert not any(isinstance(one, Exception) for one in ask(fake, collector.url, CALL, share=0.0))
    assert collector.spans == []
    assert fake.headers[-1]["traceparent"].endswith("-00"), "the server does not keep it either"


@pytest.mark.slow
def test_a_collector_that_is_away_takes_nothing_but_its_spans(fake: FakeLlm) -> None:
    fake.text = "warm light"
    (answer,) = ask(fake, "http://127.0.0.1:9/v1/traces", CALL)
    assert not isinstance(answer, Exception)


def test_nothing_is_told_by_default(fake: FakeLlm) -> None:
    ask(fake, "", CALL)
    assert "traceparent" not in fake.headers[-1]


def test_without_the_setting_nothing_of_the_extra_is_imported() -> None:
    look = "import sys, workers.adapters.llm.client; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", look], check=False).returncode == 0


def test_traces_without_the_extra_name_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "workers.adapters.observability.traces_otlp", None)
    with pytest.raises(Misconfigured, match=r"attune\[traces\]"):
        traces_of(Settings().changed(traces_url="http://127.0.0.1:4318/v1/traces"))
