"""Optional traces of the LLM calls. Needs `pip install "attune[traces]"`; without the setting nothing of it is imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from workers.core.generation.llm import Completion, CompletionRequest


class CallTrace(Protocol):
    """What is noted of one call."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What goes along to the server, so that its own spans join the trace."""
        ...

    def ended(self, model: str, completion: Completion | None, error_type: str) -> None:
        """The call is over: with an answer, or with an error (`error_type` as in the metrics)."""
        ...


class Traces(Protocol):
    """Where calls are noted."""

    def begin(self, request: CompletionRequest, model: str, address: str) -> CallTrace:
        """A call to the model of the server at `address` begins."""
        ...

    async def close(self) -> None:
        """Sends what is left, for a moment. May be called twice."""
        ...


class NoTraces:
    """Nothing is noted."""

    headers: Mapping[str, str] = {}

    def begin(self, request: CompletionRequest, model: str, address: str) -> CallTrace:
        """Itself: there is nothing to tell calls apart by."""
        return self

    def ended(self, model: str, completion: Completion | None, error_type: str) -> None:
        """Is forgotten."""

    async def close(self) -> None:
        """Nothing is open."""
