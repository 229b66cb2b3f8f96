"""Renders the live view of the demo: events, decisions, learning, and the newest messages with their reasons."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from schemas.messages import Message
from workers.commands.inspect import learning_plot
from workers.core.experimentation.logged_decisions import LoggedFeedback
from workers.core.experimentation.off_policy import Point, effective_sample_size, newest_chances, series
from workers.core.reporting.run_report import Report, percentiles

_NEWEST = 5
_RATE_WINDOW_S = 5.0
#: The learning chart is redrawn at this interval, and covers this much time [s].
_LEARNING_EVERY_S = 2.0
_LEARNING_SHOWS_S = 240.0
#: Time for the responses to a decision; newer decisions are not shown [s].
_RESPONSE_TIME_S = 10.0


class DemoView:
    """Renders a report and an evaluation; `tick` updates the event rate of the last seconds."""

    def __init__(
        self, report: Report, evaluation: LoggedFeedback, metrics: Callable[[], Mapping[str, str | None]]
    ) -> None:
        """`metrics`: role → URL of its metrics; None = not known yet."""
        self._report = report
        self._evaluation = evaluation
        self._metrics = metrics
        self._ticks: deque[tuple[float, int]] = deque()
        self._learning: RenderableType = Text("")
        self._learning_at_s = -_LEARNING_EVERY_S

    def tick(self, elapsed_s: float) -> None:
        """Records the number of events at this time."""
        self._ticks.append((elapsed_s, self._report.events))
        while elapsed_s - self._ticks[0][0] > _RATE_WINDOW_S:
            self._ticks.popleft()
        if elapsed_s - self._learning_at_s >= _LEARNING_EVERY_S:
            self._learning_at_s = elapsed_s
            self._learning = self._learnt()

    def render(self, elapsed_s: float, notes: list[str]) -> RenderableType:
        """Renders the view at this time; `notes` are the lines of the supervisor, newest last."""
        report = self._report
        latency_ms = percentiles(report.latencies_ms)
        head = Text.assemble(
            ("Attune demo ", "bold"),
            f"{elapsed_s:5.0f} s   events {report.events} ({self._rate():.0f}/s)   profiles {len(report.profiles)}   "
            f"requests {report.requests}   messages {len(report.messages)}   dead letters {report.dead_letters.total()}   "
            f"request to outcome p50 {latency_ms['p50'] or 0:.0f} ms, p95 {latency_ms['p95'] or 0:.0f} ms",
        )
        counts = Table.grid(padding=(0, 3))
        counts.add_row(
            _counted("decisions", dict(report.decisions)),
            _counted("outcomes", dict(report.outcomes)),
            _counted("feedback", dict(report.feedback)),
            _counted("campaigns", dict(report.by["campaign"])),
            _counted("written by", dict(report.by["generated_by"])),
            _counted("target groups", dict(report.by["target_group"])),
        )
        return Group(
            Panel(head, border_style="blue"),
            counts,
            self._learning,
            self._newest(),
            Text(self.where(), style="dim"),
            *(Text(note, style="yellow") for note in notes[-2:]),
        )

    def line(self, elapsed_s: float) -> str:
        """Returns the progress in one line."""
        report = self._report
        return (
            f"{elapsed_s:.0f} s: {report.events} events ({self._rate():.0f}/s), {report.decisions.total()} decisions, "
            f"{report.requests} requests, {len(report.messages)} messages, {report.feedback.total()} responses"
        )

    def where(self) -> str:
        """Returns the URLs of the roles' metrics, as far as they are known."""
        return "   ".join(f"{role} {url or '...'}" for role, url in self._metrics().items())

    def _rate(self) -> float:
        if len(self._ticks) < 2:
            return 0.0
        (first_s, first), (last_s, last) = self._ticks[0], self._ticks[-1]
        return (last - first) / (last_s - first_s) if last_s > first_s else 0.0

    def _learnt(self) -> RenderableType:
        scored = self._evaluation.scored()
        if not scored:
            return Text("")
        newest_s = scored[-1].decided_at_s
        shown = [one for one in scored if one.decided_at_s > newest_s - _LEARNING_SHOWS_S]
        points: list[Point] = series(shown, until_s=newest_s - shown[0].decided_at_s - _RESPONSE_TIME_S)
        learnt, uniform = (f"{points[-1].learnt:.2f}", f"{points[-1].other:.2f}") if points else ("", "")
        legend = Text.assemble(
            ("reward per decision   ", "bold"),
            (f"learnt {learnt}   ", learning_plot.LEARNT),
            (f"equal chances {uniform}   ", learning_plot.UNIFORM),
            (f"ESS {effective_sample_size(scored):.0f}", "dim"),
        )
        both = Table.grid(padding=(0, 4))
        both.add_row(Group(legend, learning_plot.chart(points)), learning_plot.arms(newest_chances(shown)))
        return both

    def _newest(self) -> Table:
        table = Table("customer", "channel", "text", "reason", expand=True, title="newest messages")
        for message in reversed(self._report.messages[-_NEWEST:]):
            table.add_row(message.user_id, message.channel, _text(message), _why(message))
        return table


def _text(message: Message) -> Text:
    return Text.assemble((message.title or message.email_subject, "bold"), " ", message.body)


def _why(message: Message) -> str:
    arm = f", {message.variation_id}" if message.variation_id else ""
    return (
        f"{message.campaign_id}: {message.product_id}; {message.target_group}, {message.locale}{arm}; "
        f"by {message.provenance.generated_by}"
    )


def _counted(title: str, counts: dict[str, int]) -> Table:
    table = Table(title, "", box=None, pad_edge=False)
    for name, number in sorted(counts.items(), key=lambda item: -item[1])[:6]:
        table.add_row(name, str(number))
    return table
