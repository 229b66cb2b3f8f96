"""Draws learning as SVG: reward over time, and the final probability of each arm. It is short enough not to need a library."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from xml.sax.saxutils import escape

from workers.commands.inspect.learning_plot import colours_of
from workers.core.experimentation.off_policy import ArmResult, Point

_WIDTH = 1080
_LEFT, _RIGHT, _TOP = 64, 24, 64
_CHART = 240  # height of the chart
_ROW = 26  # height of one bar
_NAMES = 220  # width of the labels (campaign and target group)
_COLOURS = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#76b7b2", "#9c755f")
_LEARNT, _UNIFORM, _GREY = "#2a7f3f", "#9a9a9a", "#555555"


def picture(points: Sequence[Point], results: Sequence[ArmResult], headline: str) -> str:
    """Returns the SVG document. `results` must be sorted by campaign and target group, as `by_arm` returns them."""
    rows = [list(group) for _, group in groupby(results, key=lambda one: (one.campaign_id, one.target_group))]
    colours = colours_of((one.arm for one in results), _COLOURS)
    bars_at = _TOP + _CHART + 80
    height = bars_at + _ROW * (len(rows) + 2) + 16
    size = f'width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        _text(_LEFT, 26, "Reward per decision", size=16),
        _text(_LEFT, 46, headline, colour=_GREY),
        *_chart(points),
        _text(_LEFT, bars_at - 16, "Probability of each arm in the latest decision", size=16),
    ]
    for index, row in enumerate(rows):
        parts += _bar(row, bars_at + index * _ROW, colours)
    x = float(_LEFT)
    for arm, colour in colours.items():
        y = bars_at + _ROW * len(rows) + 18
        parts += [f'<rect x="{x:.0f}" y="{y - 10}" width="12" height="12" fill="{colour}"/>', _text(x + 17, y, arm)]
        x += 40 + 7 * len(arm)
    return "\n".join([*parts, "</svg>", ""])


def _chart(points: Sequence[Point]) -> list[str]:
    if len(points) < 2:
        return [_text(_LEFT, _TOP + 40, "too few decisions for a line", colour=_GREY)]
    rewards = [reward for point in points for reward in (point.learnt, point.other)]
    low, high = min(0.0, *rewards), max(*rewards, 0.1)
    first_s, last_s = points[0].at_s, points[-1].at_s

    def x_of(at_s: float) -> float:
        return _LEFT + (at_s - first_s) / (last_s - first_s) * (_WIDTH - _LEFT - _RIGHT)

    def y_of(reward: float) -> float:
        return _TOP + (high - reward) / (high - low) * _CHART

    parts = []
    for step in range(5):
        reward = low + (high - low) * step / 4
        y = y_of(reward)
        parts += [
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e4e4e4"/>',
            _text(_LEFT - 8, y + 4, f"{reward:.2f}", anchor="end", colour=_GREY),
        ]
        at_s = first_s + (last_s - first_s) * step / 4
        parts.append(_text(x_of(at_s), _TOP + _CHART + 18, f"{at_s:.0f} s", anchor="middle", colour=_GREY))
    for name, colour, line in (
        ("equal chances", _UNIFORM, [(p.at_s, p.other) for p in points]),
        ("learnt", _LEARNT, [(p.at_s, p.learnt) for p in points]),
    ):
        drawn = " ".join(f"{x_of(at_s):.1f},{y_of(reward):.1f}" for at_s, reward in line)
        parts.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(_text(_WIDTH - _RIGHT, y_of(line[-1][1]) - 6, name, anchor="end", colour=colour))
    return parts


def _bar(row: Sequence[ArmResult], y: float, colours: dict[str, str]) -> list[str]:
    """Draws one bar: the arms of one campaign and target group, each as wide as its probability."""
    width, x = _WIDTH - _LEFT - _RIGHT - _NAMES, float(_LEFT + _NAMES)
    parts = [_text(_LEFT, y + 14, f"{row[0].campaign_id}, {row[0].target_group}")]
    for one in row:
        length = one.probability * width
        tooltip = f"{one.arm}: probability {one.probability:.2f}, {one.decisions} decisions, mean reward {one.mean:.2f}"
        parts.append(
            f'<rect x="{x:.1f}" y="{y}" width="{length:.1f}" height="{_ROW - 6}" fill="{colours[one.arm]}">'
            f"<title>{escape(tooltip)}</title></rect>"
        )
        if length > 40:
            parts.append(_text(x + 6, y + 14, f"{one.probability:.0%}", colour="white"))
        x += length
    return parts


def _text(x: float, y: float, text: str, *, size: int = 12, anchor: str = "start", colour: str = "black") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'
    )
