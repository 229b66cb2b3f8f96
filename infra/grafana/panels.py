"""Typed rows and panels of a Grafana dashboard, and their JSON. Our own queries are in dashboard.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, assert_never

import msgspec

#: The provisioned data source (infra/grafana/provisioning/datasources/prometheus.yml).
SOURCE = {"type": "prometheus", "uid": "attune"}
COLUMNS = 24
_SCHEMA_VERSION = 39
_UP_OR_DOWN = [{"color": "red", "value": None}, {"color": "green", "value": 1}]


class Query(msgspec.Struct, frozen=True):
    """PromQL and the text of its legend, with `{{label}}` filled in by Grafana."""

    expr: str
    legend: str = ""


class Thresholds(msgspec.Struct, frozen=True):
    """A value is orange from `warn` on and red from `bad` on; equal: there is nothing between good and bad."""

    warn: float
    bad: float


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """One panel. `description` says what to do when it looks bad; `unit` is one of Grafana's IDs.

    `stat` shows the newest value on a coloured background, `state` one tile per series with UP or DOWN, `lines` the values
    over time, `stacked` the same on top of each other (only for values that add up).
    """

    kind: Literal["stat", "state", "lines", "stacked"]
    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    width: int = 8
    height: int = 8
    thresholds: Thresholds | None = None


class Row(msgspec.Struct, frozen=True):
    """A heading and the panels below it, left to right; they wrap at 24 columns."""

    title: str
    panels: tuple[Panel, ...]


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """A choice at the top of the dashboard, filled from the values of a label; "All" matches everything."""

    name: str
    label: str
    metric: str


def dashboard(uid: str, title: str, description: str, rows: Sequence[Row], variables: Sequence[Variable]) -> Any:
    """Returns the dashboard as Grafana's JSON model. The same rows give the same bytes: IDs are the positions of the panels."""
    panels: list[dict[str, Any]] = []
    top = 0
    for row in rows:
        panels.append(_row(len(panels) + 1, row.title, top))
        top += 1
        left = height = 0
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                top, left, height = top + height, 0, 0
            place = {"h": panel.height, "w": panel.width, "x": left, "y": top}
            panels.append(_panel(len(panels) + 1, panel, place))
            left, height = left + panel.width, max(height, panel.height)
        top += height
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["attune"],
        "editable": False,
        "graphTooltip": 1,  # one crosshair over all panels shows what happened at the same moment
        "refresh": "10s",
        "schemaVersion": _SCHEMA_VERSION,
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_variable(variable) for variable in variables]},
        "annotations": {"list": [_alerts()]},
        "panels": panels,
    }


def _row(number: int, title: str, top: int) -> dict[str, Any]:
    place = {"h": 1, "w": COLUMNS, "x": 0, "y": top}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "color": {"mode": "palette-classic"}, "min": 0}
    options: dict[str, Any]
    match panel.kind:
        case "stat" | "state":
            kind = "stat"
            defaults["color"] = {"mode": "thresholds"}
            options = {
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
                "colorMode": "background",
                "graphMode": "none" if panel.kind == "state" else "area",
                "justifyMode": "auto",
                "orientation": "auto",
                "textMode": "value_and_name" if panel.kind == "state" else "value",
            }
            if panel.kind == "state":
                defaults["mappings"] = [
                    {"type": "value", "options": {"0": {"text": "DOWN", "index": 0}, "1": {"text": "UP", "index": 1}}}
                ]
        case "lines" | "stacked":
            kind = "timeseries"
            stacked = panel.kind == "stacked"
            defaults["custom"] = {
                "drawStyle": "line",
                "lineWidth": 1,
                "fillOpacity": 40 if stacked else 8,
                "showPoints": "never",
                "spanNulls": False,
                "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
                **({"thresholdsStyle": {"mode": "line"}} if panel.thresholds else {}),
            }
            options = {
                "legend": {
                    "displayMode": "table",
                    "placement": "bottom",
                    "showLegend": True,
                    "calcs": ["lastNotNull", "max"],
                },
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        case other:
            assert_never(other)
    steps = _UP_OR_DOWN if panel.kind == "state" else _steps(panel.thresholds)
    defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    return {
        "id": number,
        "type": kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": SOURCE,
                "editorMode": "code",
                "expr": query.expr,
                "legendFormat": query.legend or panel.title,
                "range": True,
            }
            for index, query in enumerate(panel.queries)
        ],
    }


def _steps(thresholds: Thresholds | None) -> list[dict[str, Any]]:
    """Returns Grafana's steps: the first colour has no lower bound.

    >>> [step["color"] for step in _steps(Thresholds(warn=1, bad=5))]
    ['green', 'orange', 'red']
    >>> [step["color"] for step in _steps(Thresholds(warn=1, bad=1))]
    ['green', 'red']
    """
    if thresholds is None:
        return [{"color": "blue", "value": None}]
    bounds = {thresholds.warn: "orange"} | {thresholds.bad: "red"}
    return [{"color": "green", "value": None}, *({"color": color, "value": at} for at, color in bounds.items())]


def _variable(variable: Variable) -> dict[str, Any]:
    definition = f"label_values({variable.metric}, {variable.name})"
    return {
        "name": variable.name,
        "label": variable.label,
        "type": "query",
        "datasource": SOURCE,
        "definition": definition,
        "query": {"query": definition, "refId": variable.name},
        "refresh": 2,  # with every change of the time range
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
        "options": [],
        "hide": 0,
    }


def _alerts() -> dict[str, Any]:
    """Returns the annotation that marks firing alerts in every panel."""
    return {
        "name": "Alerts",
        "datasource": SOURCE,
        "enable": True,
        "hide": False,
        "iconColor": "red",
        "expr": 'ALERTS{alertstate="firing"}',
        "step": "30s",
        "titleFormat": "{{alertname}}",
        "textFormat": "{{job}} {{stage}}",
    }
