"""The dashboard is the one of the code; it and the rules ask only for what is served."""

from __future__ import annotations

import doctest
import re
from collections import Counter

import pytest
import yaml

from infra.grafana import panels
from infra.grafana.dashboard import FILE, ROWS, render
from tests.support.prometheus import FOLDER, PanelQuery, panel_queries
from workers.adapters.observability.metric_catalogue import CATALOGUE

RULES = [rule for group in yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"] for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
PANELS = [panel for row in ROWS for panel in row.panels]
#: What others serve, with the labels that we ask for: Prometheus itself, and vLLM (vllm/v1/metrics/loggers.py).
FOREIGN = {
    "up": {"job"},
    "ALERTS": {"alertstate", "alertname"},
    "vllm:num_requests_running": set[str](),
    "vllm:num_requests_waiting": set[str](),
    "vllm:kv_cache_usage_perc": set[str](),
}
#: Every series has them from the scrape.
OF_THE_SCRAPE = {"job", "instance"}
#: A metric, and what stands in the braces behind it.
SELECTOR = re.compile(
    r"\b(?P<name>(?:attune_|gen_ai_client_|vllm:|attune:)\w[\w:]*|up|ALERTS)\b(?:\{(?P<labels>[^}]*)\})?"
)


def served() -> dict[str, set[str]]:
    """Every series that is there to be asked for, with its labels."""
    found = {name: set(labels) for name, labels in FOREIGN.items()}
    for row in CATALOGUE:
        suffixes = ("_bucket", "_count", "_sum") if row.kind == "histogram" else ("",)
        for suffix in suffixes:
            found[row.name + suffix] = {*row.labels, *OF_THE_SCRAPE, *(("le",) if suffix == "_bucket" else ())}
    found |= {rule["record"]: set() for rule in RULES if "record" in rule}
    return found


def unknown_in(expr: str) -> set[str]:
    """Metrics and labels of a query that nobody serves."""
    known, wrong, labels = served(), set(), set[str]()
    for found in SELECTOR.finditer(expr):
        if found["name"] not in known:
            wrong.add(found["name"])
            continue
        labels |= known[found["name"]]
        asked = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", found["labels"] or "")
        wrong |= {f"{found['name']}{{{label}}}" for label in asked if label not in known[found["name"]]}
    for group in re.findall(r"by \(([^)]*)\)", expr):
        wrong |= {f"by {label}" for label in re.split(r",\s*", group) if label not in labels}
    return wrong


def test_the_file_is_the_one_that_the_module_writes() -> None:
    assert FILE.read_text() == render(), "run: python -m infra.grafana.dashboard"


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(panels).failed == 0


@pytest.mark.parametrize("query", panel_queries(), ids=lambda query: query.panel)
def test_a_panel_asks_only_for_what_is_served(query: PanelQuery) -> None:
    assert unknown_in(query.expr) == set()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_only_for_what_is_served(rule: dict[str, str]) -> None:
    assert unknown_in(rule["expr"]) == set()


def test_a_query_for_what_nobody_serves_is_found() -> None:
    assert unknown_in("sum(rate(attune_event_total[5m]))") == {"attune_event_total"}
    assert unknown_in('sum by (reason) (attune_events_total{campaign="c"})') == {
        "attune_events_total{campaign}",
        "by reason",
    }


def test_every_panel_helps_whoever_is_woken() -> None:
    assert [name for name, times in Counter(panel.title for panel in PANELS).items() if times > 1] == []
    for panel in PANELS:
        assert len(panel.description) > 40, panel.title
        assert panel.unit, panel.title
        legends = [query.legend for query in panel.queries]
        assert panel.kind == "stat" or all(legends), panel.title
        assert len(set(legends)) == len(legends), panel.title


def test_every_alert_says_what_is_wrong_and_what_to_do() -> None:
    for rule in ALERTS:
        assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
        assert len(rule["annotations"]["summary"]) > 15, rule["alert"]
        assert len(rule["annotations"]["runbook"]) > 80, rule["alert"]


def test_the_page_on_monitoring_names_every_panel_and_alert() -> None:
    page = (FOLDER.parents[1] / "docs" / "monitoring.md").read_text()
    assert [panel.title for panel in PANELS if f"| {panel.title} |" not in page] == []
    assert [rule["alert"] for rule in ALERTS if f"`{rule['alert']}`" not in page] == []


def test_the_runbooks_name_panels_that_exist() -> None:
    named = {name for rule in ALERTS for name in re.findall(r"panel `([^`]+)`", rule["annotations"]["runbook"])}
    assert named <= {panel.title for panel in PANELS}
