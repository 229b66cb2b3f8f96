"""Metrics exist at the start, and the documentation is made from the catalogue."""

from __future__ import annotations

import re
import urllib.request
from collections import Counter
from pathlib import Path

from workers.adapters.observability.metric_catalogue import CATALOGUE, as_markdown
from workers.adapters.observability.metrics import WorkerMetrics
from workers.adapters.process.liveness import Liveness
from workers.core.stream.effects import Effects

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_of_metrics_is_up_to_date() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text() == as_markdown()


def test_every_metric_is_served_on_loopback_from_the_start() -> None:
    metrics = WorkerMetrics()
    port = metrics.serve(Liveness(), 0)
    metrics.batch("personalise", 3, 0.01, Effects(tally=Counter({("events", "applied"): 3})))
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:  # our own address
        page = response.read().decode()
    served = set(re.findall(r"^# HELP ((?:attune|gen_ai)_\w+) ", page, re.MULTILINE))
    assert {name for name in served if not name.endswith("_created")} == {row.name for row in CATALOGUE}
    assert 'attune_events_total{result="applied"} 3.0' in page
    assert 'attune_records_total{stage="personalise"} 3.0' in page


def test_what_waits_is_a_gauge_of_each_lane_until_the_lane_goes() -> None:
    metrics = WorkerMetrics()
    metrics.pending("0", {"delay": 3, "words": 1})
    metrics.pending("1", {"delay": 4, "words": 0})

    def shown(lane: str, reason: str) -> float | None:
        return metrics.registry.get_sample_value("attune_pending", {"lane": lane, "reason": reason})

    assert [shown("0", "delay"), shown("0", "words"), shown("1", "delay"), shown("1", "words")] == [3, 1, 4, 0]
    metrics.pending("0", {})  # another worker has it, and counts it
    assert [shown("0", "delay"), shown("0", "words"), shown("1", "delay")] == [0, 0, 4]


def test_what_the_core_counts_has_the_labels_of_the_catalogue() -> None:
    metrics = WorkerMetrics()
    labels = {row.short: row.labels for row in CATALOGUE}
    for short in ("events", "decisions", "candidates", "messages", "outcomes", "dead_letters"):
        metrics.count(short, *("x" for _ in labels[short]))
