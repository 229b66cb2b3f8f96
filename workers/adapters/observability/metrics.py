"""The typed catalogue of metrics, and the registry that serves them to Prometheus on loopback.

Labels come from closed sets or from the playbook, never from a customer. Names of LLM metrics follow OpenTelemetry's
`gen_ai.client.*`. docs/metrics.md is generated from the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from workers.adapters.observability.health_server import application, serve
from workers.adapters.observability.metric_catalogue import CATALOGUE
from workers.adapters.process.liveness import Liveness
from workers.core.errors import Misconfigured
from workers.core.stream.effects import Effects
from workers.core.stream.metrics import CounterName, GaugeName, HistogramName

M = TypeVar("M", Counter, Gauge, Histogram)


class WorkerMetrics:
    """One process's metrics. All exist from the start, so that a dashboard shows zero instead of no data."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        self._children: dict[tuple[str, tuple[str, ...]], Any] = {}
        self._pending: dict[str, Mapping[str, int]] = {}
        for row in CATALOGUE:
            if row.kind == "counter":
                self._counters[row.short] = Counter(row.name, row.help, row.labels, registry=self.registry)
            elif row.kind == "gauge":
                self._gauges[row.short] = Gauge(row.name, row.help, row.labels, registry=self.registry)
            else:
                self._histograms[row.short] = Histogram(
                    row.name, row.help, row.labels, registry=self.registry, buckets=row.buckets
                )

    def serve(self, liveness: Liveness, port: int, host: str = "127.0.0.1") -> int:
        """Serves /metrics, /healthz and /readyz; port 0 = any free one. Returns the port."""
        try:
            return serve(application(liveness, self.registry), port, host)
        except OSError as error:
            raise Misconfigured(
                f"metrics port {port} of {host}: {error.strerror}.", "set another ATTUNE_METRICS_PORT_*, or 0"
            ) from error

    def count(self, short: CounterName, *labels: str, amount: float = 1.0) -> None:
        """Adds to a counter of the catalogue."""
        self._labelled(short, self._counters[short], labels).inc(amount)

    def gauge(self, short: GaugeName, value: float, *labels: str) -> None:
        """Sets a gauge of the catalogue."""
        self._labelled(short, self._gauges[short], labels).set(value)

    def watch(self, short: GaugeName, now: Callable[[], float], *labels: str) -> None:
        """Registers a gauge of the catalogue that is read at each scrape: `now` is called from another thread."""
        self._labelled(short, self._gauges[short], labels).set_function(now)

    def observe(self, short: HistogramName, value: float, *labels: str) -> None:
        """Adds one observation to a histogram of the catalogue."""
        self._labelled(short, self._histograms[short], labels).observe(value)

    def _labelled(self, short: str, metric: M, labels: tuple[str, ...]) -> M:
        """Returns the metric with these labels, cached: the library takes a lock and builds new strings at each lookup."""
        found: M | None = self._children.get((short, labels))
        if found is None:
            found = self._children[short, labels] = metric.labels(*labels) if labels else metric
        return found

    def pending(self, lane: str, counts: Mapping[str, int]) -> None:
        """Sets the number of items that wait in a lane, by reason; an empty mapping: the lane has another owner now."""
        before, self._pending[lane] = self._pending.get(lane, {}), counts
        for reason in {**before, **counts}:
            self.gauge("pending", counts.get(reason, 0), lane, reason)

    def batch(self, stage: str, records: int, commit_s: float, effects: Effects) -> None:
        """Records one committed batch: what the core counted becomes visible with the commit, not before."""
        self.count("records", stage, amount=records)
        self.observe("commit_seconds", commit_s, stage)
        for (counter, *labels), amount in effects.tally.items():
            self.count(counter, *labels, amount=amount)
        for histogram, seconds, label_values in effects.timings:
            self.observe(histogram, seconds, *label_values)
