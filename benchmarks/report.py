"""Renders the findings: tables for the terminal and docs/performance.md, the JSON of the results, and one picture."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

import msgspec

from benchmarks.cost import BATCH, Cost
from benchmarks.findings import Findings, completed
from benchmarks.numbers import paired_ratio, spread
from benchmarks.programs import (
    BY_NAME,
    BYTEWAX,
    FAUST,
    FLOOR,
    FLOOR_TXN,
    KAFKA_STREAMS,
    KAFKA_STREAMS_EOS,
    OURS,
    PROGRAMS,
    QUIX,
    QUIX_EOS,
    ROOT,
)
from benchmarks.scale import Scaled, Soak
from benchmarks.words import BARE, MODEL_SERVER, POOLED, ROLE, Words

DOCUMENT, PICTURE, RESULTS = (
    ROOT / "docs" / "performance.md",
    ROOT / "docs" / "performance.svg",
    ROOT / "benchmarks" / "results",
)
BEGIN, END = "<!-- tables: written by `make bench WRITE=1` -->", "<!-- end of tables -->"
PEERS = (FLOOR, FLOOR_TXN, KAFKA_STREAMS, KAFKA_STREAMS_EOS, QUIX, QUIX_EOS, BYTEWAX, FAUST)


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """One table; the `notes` go below it."""

    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    notes: tuple[str, ...] = ()


def tables(found: Findings) -> Iterator[Table]:
    """Yields all tables that have findings, in order."""
    if found.runs:
        yield _events(found)
        yield _ratios(found)
    if found.latency:
        yield _latency(found)
    if found.restored or found.restarted:
        yield _recovery(found)
    if found.scale:
        yield _scale(found.scale)
    if found.soak:
        yield _soak(found.soak)
    if found.cost:
        yield _cost(found.cost)
    if found.words:
        yield _words(found.words)


def _events(found: Findings) -> Table:
    rows = []
    for name, runs in found.runs.items():
        rate = spread([run.events_per_s for run in runs])
        verdicts = {run.matches for run in runs}
        rows.append(
            (
                name,
                BY_NAME[name].promise,
                f"{rate.median:,.0f}",
                f"{rate.low:,.0f} to {rate.high:,.0f}",
                f"{spread([run.whole_events_per_s for run in runs]).median:,.0f}",
                f"{spread([run.cpu_s_per_100k for run in runs]).median:.2f}",
                f"{max(run.peak_rss_mb for run in runs):,.0f}",
                "DOES NOT MATCH" if False in verdicts else "matches" if True in verdicts else "",
            )
        )
    size = found.size
    shares = {f"{program.name}: {program.share:g}" for program in PROGRAMS if program.share != 1}
    return Table(
        title=f"Events: {size['events']:,} events, {size['customers']:,} customers, {size['runs']} interleaved runs",
        head=("program", "promise", "events/s", "min to max", "whole run", "CPU-s per 100k", "peak MB", "final state"),
        rows=rows,
        notes=(
            "Rate and CPU of the second half of the events, up to the last commit; whole run: from the first event.",
            f"Share of the events read, if not 1: {', '.join(sorted(shares))}.",
            *_left_out(found.left_out),
        ),
    )


def _ratios(found: Findings) -> Table:
    rows = []
    ours = found.runs.get(OURS, [])
    for name in PEERS:
        theirs = found.runs.get(name, [])
        if not ours or not theirs:
            continue
        rate = paired_ratio([run.events_per_s for run in ours], [run.events_per_s for run in theirs])
        cpu = paired_ratio(
            [run.cpu_s_per_100k or 0.001 for run in theirs], [run.cpu_s_per_100k or 0.001 for run in ours]
        )
        whole = paired_ratio([run.whole_events_per_s for run in ours], [run.whole_events_per_s for run in theirs])
        between = f"{rate.low:.2f} to {rate.high:.2f}"
        rows.append((name, f"{rate.median:.2f}", between, f"{whole.median:.2f}", f"{cpu.median:.2f}"))
    return Table(
        title="Ours (work unit, exactly once) over each peer",
        head=("peer", "events/s, ours / theirs", "min to max", "whole run", "CPU per event, theirs / ours"),
        rows=rows,
        notes=("Above 1 = ours is better. Ratios are computed within a round; their median is shown.",),
    )


_PIPE = (
    "The machine determines the scale: a record wakes a dozen threads on its way, and the round trip of a byte to a process on "
    "another core, which is two such wake-ups (10 to 20 µs on dedicated hardware), takes"
)


def _latency(found: Findings) -> Table:
    rows = [
        (name, f"{one.p50_ms:.1f}", f"{one.p99_ms:.1f}", f"{one.max_ms:.0f}", f"{one.events:,}", f"{one.lost:,}")
        for name, one in found.latency.items()
    ]
    return Table(
        title=f"Latency at {found.latency_rate} events/s: from the produce call to the output read (committed records only)",
        head=("program", "p50 ms", "p99 ms", "max ms", "events", "without output"),
        rows=rows,
        notes=(
            "personalise: from Consent Updated to the customer's public view. Each event is from a new customer.",
            *([f"{_PIPE} {found.pipe_us:.0f} µs."] if found.pipe_us else []),
            *_left_out(found.latency_left_out),
        ),
    )


def _left_out(reasons: Mapping[str, str]) -> Iterator[str]:
    return (f"Left out: {name}: {reason.splitlines()[0]}" for name, reason in reasons.items())


def _recovery(found: Findings) -> Table:
    rows = []
    if one := found.restored:
        rows += [
            (f"restore of {one.profiles:,} profiles into empty stores", f"{one.profiles_per_s:,.0f} profiles/s"),
            ("  it took", f"{one.seconds:.1f} s"),
            ("  peak memory, state on disk", f"{one.peak_rss_mb:,.0f} MB, {one.state_mb:,.0f} MB"),
        ]
    if two := found.restarted:
        rows += [
            ("kill -9, local state kept: process start to first event", f"{two.state_kept_s:.1f} s"),
            ("kill -9, local state deleted", f"{two.state_deleted_s:.1f} s"),
            ("final state after both", "matches" if two.matches else "DOES NOT MATCH"),
        ]
    return Table(title="Recovery", head=("measurement", "result"), rows=rows)


def _scale(scale: Sequence[Scaled]) -> Table:
    rows = [
        (
            one.program,
            f"{one.customers:,}",
            f"{one.visits:,} visits" if one.visits else "random, per event",
            f"{one.run.cpu_s_per_100k:.2f}",
            f"{one.run.events_per_s:,.0f}",
            f"{one.run.peak_rss_mb:,.0f}",
            f"{one.state_mb:,.0f}",
        )
        for one in scale
    ]
    return Table(
        title="Scale: existing customers, each with a full profile before the first event",
        head=("program", "customers", "events of", "CPU-s per 100k", "events/s", "peak MB", "state MB on disk"),
        rows=rows,
        notes=tuple(per_million(scale)),
    )


def _soak(soak: Soak) -> Table:
    return Table(
        title=f"Memory over time: personalise, {soak.events:,} events of {soak.customers:,} customers, {soak.seconds:.0f} s",
        head=("events processed", *(f"{tenth} %" for tenth in range(10, 101, 10))),
        rows=[("resident MB", *(f"{one:,.0f}" for one in soak.rss_mb))],
    )


def per_million(scale: Sequence[Scaled]) -> Iterator[str]:
    """Yields the cost of a million more customers, from the smallest and the largest size of each program."""
    for name in dict.fromkeys(one.program for one in scale):
        sizes = sorted((one for one in scale if one.program == name and one.visits), key=lambda one: one.customers)
        small, large = sizes[0], sizes[-1]
        if large.customers >= 100_000 > small.customers:  # smaller differences are noise
            millions = (large.customers - small.customers) / 1e6
            memory = (large.run.peak_rss_mb - small.run.peak_rss_mb) / millions
            disk = (large.state_mb - small.state_mb) / millions
            yield f"A million more customers, {name}: {memory:,.0f} MB of memory, {disk:,.0f} MB on disk."


def _cost(cost: Cost) -> Table:
    core = cost.core_us_per_event
    rows = [(step.name, f"{step.us_per_event:.1f}", f"{100 * step.us_per_event / core:.0f} %") for step in cost.steps]
    rows.append(("the core, without timers", f"{core:.1f}", f"{cost.core_events_per_s:,.0f} events/s per core"))
    rows += [(f"shell: {step.name}", f"{step.us_per_event:.1f}", "") for step in cost.shell]
    return Table(
        title=f"Cost of one event in the real personalise ({cost.events:,} events, {cost.customers:,} customers in a lane)",
        head=("step", "µs per event", "of the core"),
        rows=rows,
        notes=(
            f"Batches of {BATCH:,} change {cost.changed_per_batch:,.0f} state records each, which are written once per batch.",
            "Not included: fetching, Faust, the event loop.",
        ),
    )


#: US dollars per million input and output tokens: the approximate price of hosted models of 7 to 8 B.
_TOKEN_PRICES = (0.10, 0.30)
#: Number of messages per text of the pool (the default of `pool_wear`).
_WEAR = 1000


def _dollars(one: Words, words: Sequence[Words]) -> str:
    """Returns the cost of the tokens of 1,000 messages; with the pool, a text is generated once for _WEAR messages."""
    real = next((other for other in words if other.program == ROLE and other.server != MODEL_SERVER), None)
    measured = {ROLE: one, POOLED: real}.get(one.program)
    if measured is None:
        return ""
    price = _TOKEN_PRICES[0] * measured.input_tokens_per_message + _TOKEN_PRICES[1] * measured.output_tokens_per_message
    return f"{price / 1000 / (_WEAR if one.program == POOLED else 1):.4f}"


def _tokens(one: Words) -> str:
    return f"{one.input_tokens_per_message:,.0f} + {one.output_tokens_per_message:,.0f}" if one.program == ROLE else ""


def _ratio(one: Words, bare: Words) -> str:
    """Returns the median of the rounds' ratios, and their spread."""
    ratio = paired_ratio(one.rounds, bare.rounds)
    return f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"


def _words(words: Sequence[Words]) -> Table:
    bare = {(one.server, one.in_flight): one for one in words if one.program == BARE}
    rows = [
        (
            one.server,
            str(one.in_flight),
            one.program,
            f"{one.calls_per_s:.2f}",
            _ratio(one, bare[one.server, one.in_flight]) if one.program == ROLE else "",
            f"{one.messages_per_s:.2f}",
            f"{one.cpu_ms_per_message:.2f}" if one.cpu_ms_per_message else "",
            f"{1000 / one.cpu_ms_per_message:,.0f}" if one.cpu_ms_per_message else "",
            f"{one.own_share:.0%}" if one.program != BARE else "",
            _tokens(one),
            _dollars(one, words),
        )
        for one in words
    ]
    return Table(
        title="Texts: generate compared with the bare server for the same requests",
        head=(
            "server",
            "in flight",
            "program",
            "calls/s",
            "ratio to bare",
            "messages/s",
            "our CPU-ms per message",
            "messages per CPU-s",
            "not a template",
            "tokens per message",
            "US$ per 1,000",
        ),
        rows=rows,
        notes=(
            "latency model: a server that answers after a delay, without an LLM; the rest is our own cost.",
            f"US$: {_TOKEN_PRICES[0]:.2f} and {_TOKEN_PRICES[1]:.2f} per million input and output tokens, prefix cache or not.",
            f"A text of the pool is generated once for {_WEAR:,} messages.",
        ),
    )


def markdown(found: Findings) -> str:
    """Returns the tables for docs/performance.md."""
    parts = [f"Measured {found.at[:10]} on {found.hardware}, {found.python}, at commit `{found.commit}`.\n"]
    if found.kept:
        kept = ", ".join(f"{section} ({origin})" for section, origin in found.kept.items())
        parts.append(f"Not run this time, kept from an earlier benchmark: {kept}.\n")
    for table in tables(found):
        lines = [f"### {table.title}\n", "| " + " | ".join(table.head) + " |", "| --- " * len(table.head) + "|"]
        lines += ["| " + " | ".join(row) + " |" for row in table.rows]
        parts.append("\n".join(lines) + "\n" + "".join(f"\n{note}" for note in table.notes) + "\n")
    return "\n".join(parts)


def picture(found: Findings) -> str:
    """Returns bars of the medians with their spread, as SVG; ours are dark."""
    rows = [
        (name, spread([run.events_per_s for run in runs])) for name, runs in found.runs.items() if name != "raw consume"
    ]
    width, left, row_height = 820, 240, 30
    top = max((rate.high for _, rate in rows), default=1.0)
    height = 60 + row_height * len(rows)

    def x(value: float) -> float:
        return left + (width - left - 110) * value / top

    title = f"Events/s: median and range of {found.size.get('runs', 0)} interleaved runs ({found.hardware})"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="22" font-size="15">{escape(title)}</text>',
    ]
    for number, (name, rate) in enumerate(rows):
        y = 40 + number * row_height
        colour = "#1f4e79" if name.startswith("ours") else "#9db7cc"
        middle = y + row_height / 2 - 3
        lines += [
            f'<text x="{left - 8}" y="{middle + 4}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{left}" y="{y}" width="{x(rate.median) - left:.1f}" height="{row_height - 8}" fill="{colour}"/>',
            f'<line x1="{x(rate.low):.1f}" x2="{x(rate.high):.1f}" y1="{middle}" y2="{middle}" stroke="#333333"/>',
            f'<text x="{x(rate.high) + 6:.1f}" y="{middle + 4}">{rate.median:,.0f}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])


def write(found: Findings) -> list[Path]:
    """Writes the JSON, the tables in the document, and the picture; returns the paths. Sections that were not run are kept from
    the newest results of the same hardware.
    """
    RESULTS.mkdir(exist_ok=True)
    kind = re.sub(r"[^a-z0-9]+", "-", found.hardware.lower()).strip("-")
    if before := sorted(RESULTS.glob(f"????-??-??-{kind}.json")):
        found = completed(found, msgspec.json.decode(before[-1].read_bytes(), type=Findings))
    path = RESULTS / f"{found.at[:10]}-{kind}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text(), markdown(found)))
    PICTURE.write_text(picture(found))
    return [path, DOCUMENT, PICTURE]


def with_tables(document: str, text: str) -> str:
    """Returns the document with the text between its two markers. Raises ValueError if they are missing."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the document has no markers for the tables")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"
