"""The names of the metrics that the code may change; adapters.observability.metric_catalogue describes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Literal, Protocol

CounterName = Literal[
    "records",
    "events",
    "decisions",
    "cancellations",
    "arms",
    "deferred",
    "candidates",
    "reviews",
    "messages",
    "outcomes",
    "feedback",
    "feedback_ignored",
    "conversions",
    "revenue",
    "learn_ignored",
    "feedback_misplaced",
    "dead_letters",
    "standby_rounds",
    "texts",
    "pool",
    "pool_worn",
    "guardrails",
    "deliveries",
    "llm_shed",
    "llm_calls",
    "llm_adapter_missing",
]
GaugeName = Literal[
    "build_info",
    "pending",
    "lag_seconds",
    "intake_lag_seconds",
    "lanes",
    "standby_lanes",
    "delivery_late_seconds",
    "in_flight",
    "llm_waiting",
    "llm_endpoint_state",
    "llm_endpoint_limit",
    "llm_endpoint_in_flight",
    "llm_server_running",
    "llm_server_waiting",
    "llm_server_cache",
]
HistogramName = Literal["request_seconds", "commit_seconds", "llm_seconds", "llm_tokens"]

#: The counts of one batch: (counter, label values in the order of the catalogue) → amount.
Tally = Counter[tuple[CounterName, *tuple[str, ...]]]


class Metrics(Protocol):
    """Records measurements. `labels` are values in the order of the catalogue, never customer data."""

    def count(self, short: CounterName, *labels: str, amount: float = 1.0) -> None:
        """Adds to a counter."""
        ...

    def gauge(self, short: GaugeName, value: float, *labels: str) -> None:
        """Sets a gauge."""
        ...

    def watch(self, short: GaugeName, now: Callable[[], float], *labels: str) -> None:
        """Registers a gauge that is read on every scrape: `now` is called from another thread."""
        ...

    def observe(self, short: HistogramName, value: float, *labels: str) -> None:
        """Adds one observation to a histogram."""
        ...
