"""Plots learning in the terminal: reward over time, and each arm's probability per target group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.table import Table
from rich.text import Text

from workers.core.experimentation.off_policy import Comparison, InsufficientData, Point

LEARNT, UNIFORM = "green", "bright_black"
#: Colours of the arms, in the order of their names.
_COLOURS = ("cyan", "magenta", "yellow", "blue", "green", "red", "white")
#: Braille dots of one character: [row][column], 4 × 2.
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def chart(points: Sequence[Point], width: int = 54, height: int = 9) -> Text:
    """Plots learnt and uniform rewards over time, `width` × `height` characters without the axes."""
    if len(points) < 2:
        return Text("waiting for the first responses", style="dim")
    rewards = [reward for point in points for reward in (point.learnt, point.other)]
    low, high = min(0.0, *rewards), max(*rewards, 0.1)
    dots: dict[tuple[int, int], tuple[int, str]] = {}
    for colour, line in ((UNIFORM, [p.other for p in points]), (LEARNT, [p.learnt for p in points])):
        for x in range(2 * width):
            y = (high - _at(line, x / (2 * width - 1))) / (high - low) * (4 * height - 1)
            cell = round(y) // 4, x // 2
            dots[cell] = dots.get(cell, (0, colour))[0] | _DOTS[round(y) % 4][x % 2], colour
    drawn = Text()
    for row in range(height):
        drawn.append(f"{high if row == 0 else low:6.2f} " if row in (0, height - 1) else " " * 7, style="dim")
        for column in range(width):
            bits, colour = dots.get((row, column), (0, ""))
            drawn.append(chr(0x2800 + bits), style=colour)
        drawn.append("\n")
    drawn.append(f"{'':7}{points[0].at_s:<.0f} s{points[-1].at_s:>{width - 6}.0f} s", style="dim")
    return drawn


def _at(line: Sequence[float], share: float) -> float:
    """Returns the value at a share of the x-axis (0 to 1), by linear interpolation between the points."""
    position = share * (len(line) - 1)
    left = min(int(position), len(line) - 2)
    return line[left] + (line[left + 1] - line[left]) * (position - left)


def arms(chances: Mapping[tuple[str, str], Mapping[str, float]], width: int = 24) -> Table:
    """Returns one line per campaign and target group: each arm's current probability, and the name of the likeliest."""
    table = Table("campaign", "group", "probability of each arm", "likeliest", box=None, pad_edge=False)
    colours = colours_of(arm for chance in chances.values() for arm in chance)
    for (campaign_id, group), chance in sorted(chances.items()):
        best = max(sorted(chance), key=lambda arm: chance[arm])
        bar, drawn, so_far = Text(), 0, 0.0
        for arm in sorted(chance):
            so_far += chance[arm]
            length = round(so_far * width) - drawn
            bar.append("█" * length, style=colours[arm])
            drawn += length
        table.add_row(campaign_id, group, bar, Text(f"{best} {chance[best]:.0%}", style=colours[best]))
    return table


def colours_of(names: Iterable[str], colours: Sequence[str] = _COLOURS) -> dict[str, str]:
    """Returns one colour for each arm; the same set of names always gets the same colours."""
    return {name: colours[index % len(colours)] for index, name in enumerate(sorted(set(names)))}


def sentence(found: Comparison | InsufficientData) -> str:
    """Explains the result of the comparison in a sentence.

    >>> sentence(InsufficientData(decisions=3, ess=3.0, reason="too few"))
    'it is too early to tell whether learning pays off: too few'
    """
    if isinstance(found, InsufficientData):
        return f"it is too early to tell whether learning pays off: {found.reason}"
    gain = found.difference
    return (
        f"the learnt arms earned {found.learnt:.2f} per decision; equal chances would have earned {found.other:.2f}: "
        f"{gain.value:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}] "
        f"(95 % interval, {found.decisions} decisions about {found.customers} customers)"
    )
