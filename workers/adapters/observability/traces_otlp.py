"""Exports traces of the LLM calls to an OpenTelemetry collector: one span per call, named by the `gen_ai` conventions.

The trace ID is the ID of the message (32 hexadecimal digits), so that either leads to the other; a server that accepts
`traceparent` (vLLM with --otlp-traces-endpoint) adds its spans to the same trace. A span contains no text and no customer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, StatusCode

from workers.adapters.observability.traces import CallTrace
from workers.core.generation.llm import Completion, CompletionRequest
from workers.secrets import without_login

#: A collector that does not answer must not block anything: spans are dropped instead [s].
EXPORT_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 3.0
_TRACE_ID = re.compile(r"[0-9a-f]{32}")


class OtlpTraces:
    """Spans for the collector at `url` (http://host:4318/v1/traces), for a `share` of all messages, 0 to 1."""

    def __init__(self, url: str, share: float) -> None:
        self._ids = _MessageIds()
        self._provider: TracerProvider | None = TracerProvider(
            sampler=TraceIdRatioBased(share),
            resource=Resource.create({SERVICE_NAME: "attune"}),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        endpoint, login = without_login(url)  # the exporter's errors quote its URL
        headers = {"Authorization": login} if login else None
        exporter = OTLPSpanExporter(endpoint, headers=headers, timeout=EXPORT_TIMEOUT_S)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("attune")

    def begin(self, request: CompletionRequest, model: str, address: str) -> CallTrace:
        """Starts the span of a call."""

        self._ids.message_id = request.message_id if _TRACE_ID.fullmatch(request.message_id) else ""
        span = self._tracer.start_span(
            f"chat {model}",
            context=Context(),  # each call is a root: calls of one message share its trace, and need no parent
            kind=SpanKind.CLIENT,
            attributes=_request_attributes(request, model, address),
        )
        return _SpanTrace(span)

    async def close(self) -> None:
        """Sends the remaining spans, for at most CLOSE_TIMEOUT_S."""
        provider, self._provider = self._provider, None
        if provider is not None:
            await asyncio.to_thread(provider.force_flush, int(CLOSE_TIMEOUT_S * 1000))
            await asyncio.to_thread(provider.shutdown)


class _SpanTrace:
    def __init__(self, span: Span) -> None:
        self._span = span

    @property
    def headers(self) -> Mapping[str, str]:
        context = self._span.get_span_context()
        return {"traceparent": f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags.sampled:02x}"}

    def ended(self, model: str, completion: Completion | None, error_type: str) -> None:

        self._span.update_name(f"chat {model}")
        self._span.set_attribute("gen_ai.request.model", model)
        if completion is not None:
            self._span.set_attribute("gen_ai.response.model", completion.model)
            self._span.set_attribute("gen_ai.response.finish_reasons", [completion.finish_reason])
            self._span.set_attribute("gen_ai.usage.input_tokens", completion.usage.input_tokens)
            self._span.set_attribute("gen_ai.usage.output_tokens", completion.usage.output_tokens)
        if error_type:
            self._span.set_attribute("error.type", error_type)
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


def _request_attributes(request: CompletionRequest, model: str, address: str) -> dict[str, str | int | float]:
    server = urlsplit(address)
    values: dict[str, str | int | float | None] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",  # the provider of the API
        "gen_ai.request.model": model,
        "gen_ai.request.max_tokens": request.max_tokens,
        "gen_ai.request.temperature": request.temperature,
        "gen_ai.request.top_p": request.top_p,
        "gen_ai.request.frequency_penalty": request.frequency_penalty,
        "gen_ai.request.choice.count": request.samples,
        "gen_ai.request.seed": request.seed,
        "server.address": server.hostname,
        "server.port": server.port,
        "attune.priority": request.priority,
    }
    return {name: value for name, value in values.items() if value is not None}


class _MessageIds(RandomIdGenerator):
    """Gives traces the IDs of their messages."""

    message_id = ""

    def generate_trace_id(self) -> int:
        return int(self.message_id, 16) if self.message_id else super().generate_trace_id()
