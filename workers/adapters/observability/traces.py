"""Optional traces of the LLM calls. Needs `pip install "attune[traces]"`; without the setting OpenTelemetry is not imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from workers.core.generation.llm import Completion, CompletionRequest


class CallTrace(Protocol):
    """The trace of one call."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers to send to the server, so that its own spans join the trace."""
        ...

    def ended(self, model: str, completion: Completion | None, error_type: str) -> None:
        """Ends the trace of a call with its answer, or with an error (`error_type` as in the metrics)."""
        ...


class Traces(Protocol):
    """The destination of traces."""

    def begin(self, request: CompletionRequest, model: str, address: str) -> CallTrace:
        """Begins the trace of a call to the model of the server at `address`."""
        ...

    async def close(self) -> None:
        """Sends the remaining spans, within a short time limit. May be called twice."""
        ...


class NoTraces:
    """Traces nothing."""

    headers: Mapping[str, str] = {}

    def begin(self, request: CompletionRequest, model: str, address: str) -> CallTrace:
        """Returns itself: one object serves all calls."""
        return self

    def ended(self, model: str, completion: Completion | None, error_type: str) -> None:
        """Does nothing."""

    async def close(self) -> None:
        """Does nothing: nothing is open."""
