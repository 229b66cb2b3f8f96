"""`attune pool fill`: generates the texts of pooled campaigns in advance."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Unpack

import click
import msgspec
from rich.table import Table

from schemas.learning import PoolEntry
from workers.adapters.claims.models import load_models
from workers.adapters.kafka.pool_topic import read_pool
from workers.adapters.kafka.publisher import OperatorRecord, publish
from workers.adapters.llm.client import OpenAiModel
from workers.adapters.llm.min_temperature import MinimumTemperature
from workers.adapters.observability.metrics import WorkerMetrics
from workers.adapters.playbook.loader import load_for as load_playbook
from workers.adapters.process import clock
from workers.commands.content.pool_filler import MAX_UNANSWERED, Filling, Row
from workers.commands.terminal import err, one_line_errors, out, print_progress, stopping
from workers.core.errors import Misconfigured, Unavailable
from workers.core.generation.pool import planning
from workers.core.generation.pool.entries import POOL
from workers.core.generation.pool.planning import PoolFilter, PoolGap
from workers.core.playbook.campaigns import Campaign
from workers.core.playbook.playbook import Playbook
from workers.local.installation import Where, installation_options, reachable
from workers.local.servers import llm_server
from workers.settings import Settings
from workers.settings_loader import load

#: Minimum deadline of a text [s]: no customer is waiting, so a text may wait for an LLM that is busy with messages.
_MIN_DEADLINE_S = 60.0


@click.command()
@click.option(
    "--campaign", "campaigns", multiple=True, help="Only these campaigns, even if they are not pooled yet: a,b."
)
@click.option(
    "--count", type=click.IntRange(1, 100), default=5, show_default=True, help="Number of texts per combination."
)
@click.option("--products", multiple=True, help="Only these products: a,b.")
@click.option("--groups", multiple=True, help="Only these target groups.")
@click.option("--languages", multiple=True, help="Only these languages.")
@click.option("--channels", multiple=True, help="Only these channels.")
@click.option(
    "--in-flight", type=click.IntRange(1, 256), default=4, show_default=True, help="Number of concurrent LLM calls."
)
@click.option(
    "--least-temperature",
    type=click.FloatRange(0, 2),
    default=0.7,
    show_default=True,
    help="Minimum sampling temperature: prompts with a lower one use this, so that texts differ.",
)
@installation_options()
@click.option("--llm", help="LLM to use: embedded, vllm-cpu or a URL. Default: ATTUNE_LLM.")
@one_line_errors
def fill(
    campaigns: tuple[str, ...],
    count: int,
    products: tuple[str, ...],
    groups: tuple[str, ...],
    languages: tuple[str, ...],
    channels: tuple[str, ...],
    in_flight: int,
    least_temperature: float,
    llm: str | None,
    **where: Unpack[Where],
) -> None:
    """Generate drafts until there are enough texts.

    Enough is --count texts for each combination of campaign, arm, channel, language, target group and product. Existing texts
    count, so running the command again continues after an interruption. A text is not used before a person has approved it
    (`attune pool approve`).
    """
    settings = load(llm=llm, **where)
    if settings.llm.server == "off":
        raise Misconfigured("the LLM is off, but filling the pool needs it.", "set ATTUNE_LLM, or use --llm")
    playbook = load_playbook(settings)
    chosen = _campaigns(playbook, _names(campaigns))
    pool_filter = PoolFilter(
        products=_known("product", _names(products), playbook.products),
        groups=_known("target group", _names(groups), [group.id for group in playbook.audiences.target_groups]),
        languages=_known("language", _names(languages), playbook.languages),
        channels=_known("channel", _names(channels), playbook.channels),
    )
    with ExitStack() as stack:
        stop = stack.enter_context(stopping())
        running = stack.enter_context(reachable(settings))
        gaps = planning.gaps(playbook, chosen, pool_filter, read_pool(running).entries.values())
        missing = sum(max(0, count - gap.have) for gap in gaps)
        err.print(f"{len(gaps)} combinations, {missing} texts to generate")
        if not missing:
            return
        fill_settings = running.changed(
            data_dir=str(Path(running.data_dir) / "pool"),  # separates the log of our LLM from that of the workers
            llm_deadline_s=max(running.llm.deadline_s, _MIN_DEADLINE_S),
            llm_in_flight=in_flight,
        )
        running = stack.enter_context(llm_server(fill_settings, print_progress))
        gaps = _in_llm_languages(running, gaps)
        filling = asyncio.run(
            _run(running, playbook, gaps, count, in_flight, least_temperature, lambda: stop.requested)
        )
    out.print(_table(filling))
    if filling.rejections:
        out.print(f"discarded: {', '.join(f'{n} {why}' for why, n in filling.rejections.most_common())}")
    if filling.llm_unavailable:
        raise Unavailable(
            f"The LLM did not answer the last {MAX_UNANSWERED} requests.", "start the LLM and run the command again"
        )


async def _run(
    settings: Settings,
    playbook: Playbook,
    gaps: list[PoolGap],
    count: int,
    in_flight: int,
    least_temperature: float,
    stopped: Callable[[], bool],
) -> Filling:
    from workers.main import writer  # noqa: PLC0415 # Faust takes a second to import; --help must not wait for it

    async def put(entries: list[PoolEntry]) -> None:
        records = [OperatorRecord(POOL, entry.entry_id, entry) for entry in entries]
        await asyncio.to_thread(
            publish, settings, records, "fill", "run the command again: texts that are already stored count"
        )

    async with OpenAiModel(settings) as model:
        await model.check()
        filling = Filling(
            playbook,
            writer(settings, playbook, MinimumTemperature(model, least_temperature), WorkerMetrics()).write,
            put,
            load_models(playbook),
            count=count,
            in_flight=in_flight,
            deadline_s=settings.llm.deadline_s,
            stopped=stopped,
        )
        await filling.run(gaps, clock.utc_now())
        return filling


def _names(given: tuple[str, ...]) -> list[str]:
    """Splits comma-separated names: `--products a,b --products c` → a, b, c."""
    return [name.strip() for part in given for name in part.split(",") if name.strip()]


def _known(kind: str, names: list[str], known: Iterable[str]) -> list[str]:
    if unknown := [name for name in names if name not in (every := list(known))]:
        raise Misconfigured(f"the playbook has no {kind} {unknown[0]}.", f"one of: {', '.join(every)}")
    return names


def _campaigns(playbook: Playbook, names: list[str]) -> list[Campaign]:
    """Returns the named campaigns, or all pooled ones; raises Misconfigured if there are none."""
    if names:
        return [playbook.campaigns[name] for name in _known("campaign", names, playbook.campaigns)]
    pooled = [campaign for campaign in playbook.campaigns.values() if campaign.strategy == "pooled"]
    if not pooled:
        raise Misconfigured(
            "no campaign of the playbook is pooled.", "set `strategy: pooled` in campaigns.yaml, or use --campaign"
        )
    return pooled


def _in_llm_languages(settings: Settings, gaps: list[PoolGap]) -> list[PoolGap]:
    """Omits the languages that the LLM does not write, with a notice."""
    languages = list(settings.llm.languages)
    omitted = sorted({gap.key.language for gap in gaps if languages and gap.key.language not in languages})
    if omitted:
        err.print(f"omitted: {', '.join(omitted)}; this LLM writes {', '.join(languages)} (llm_languages)")
    return [gap for gap in gaps if gap.key.language not in omitted]


def _table(filling: Filling) -> Table:
    table = Table(show_footer=True)
    table.add_column("campaign", footer="all")
    table.add_column("language")
    table.add_column("channel")
    rows = sorted(filling.rows.items())
    for name in Row.__struct_fields__:
        total = sum(getattr(row, name) for _, row in rows)
        table.add_column(name.replace("_", " "), footer=f"{total:,}", justify="right")
    for key, row in rows:
        table.add_row(*key, *(f"{value:,}" for value in msgspec.structs.astuple(row)))
    return table
