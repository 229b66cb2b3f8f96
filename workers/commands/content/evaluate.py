"""`attune eval text`: measures how well the configured model writes for a playbook, before customers see its texts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
import jinja2
import msgspec
from rich.table import Table

from schemas.messages import MessageRequest
from workers.adapters.claims.models import load_models
from workers.adapters.llm.client import OpenAiModel
from workers.adapters.observability.metrics import WorkerMetrics
from workers.adapters.playbook.loader import load_for as load_playbook
from workers.adapters.process import clock
from workers.commands.content.evaluate_guardrails import guardrails
from workers.commands.terminal import err, one_line_errors, out
from workers.core.errors import Misconfigured
from workers.core.generation import prompts
from workers.core.generation.evaluation.pass_rates import Evaluation, Written, evaluate
from workers.core.generation.sample_requests import Scope, requests
from workers.core.playbook.playbook import Playbook
from workers.local.installation import installation_options
from workers.local.servers import llm_server
from workers.main import writer
from workers.settings import Settings
from workers.settings_loader import load

#: Minimum time for the calls of one text [s]: a slow machine must not make a model look bad.
_MIN_DEADLINE_S = 600.0
_PROGRESS_INTERVAL = 50


@click.group("eval")
def evaluation() -> None:
    """Measure how well the model writes, and how well the guardrails judge."""


evaluation.add_command(guardrails)


@evaluation.command()
@click.option(
    "--campaign", "campaigns", multiple=True, help="Only this campaign. This option and the next four may be repeated."
)
@click.option("--product", "products", multiple=True, help="Only this product_id.")
@click.option("--group", "groups", multiple=True, help="Only this target group.")
@click.option("--language", "languages", multiple=True, help="Only this language.")
@click.option("--channel", "channels", multiple=True, help="Only this channel.")
@click.option(
    "--each", type=click.IntRange(1, 1000), default=2, show_default=True, help="Number of texts per combination."
)
@click.option("--llm", help="LLM to use: embedded, vllm-cpu or a URL. Default: ATTUNE_LLM.")
@click.option("--playbook", type=click.Path(path_type=Path), help="Playbook folder. Default: ATTUNE_PLAYBOOK.")
@click.option(
    "--texts",
    "texts_file",
    type=click.Path(path_type=Path),
    help="Write all texts to this file, one JSON object per line.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
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
    """Measure how many generated texts pass.

    The texts cover all combinations of products, target groups, languages and channels. The report shows how many pass the
    guardrails at first, at the second attempt, or not at all.
    """
    settings = load(llm=llm, playbook=str(playbook) if playbook else None, data_dir=data_dir)
    if settings.llm.server == "off":
        raise Misconfigured(
            "there is no model to measure: the LLM is off.", "use --llm with embedded, vllm-cpu or a URL"
        )
    known = load_playbook(settings)
    scope = Scope(
        campaigns=_check_known(campaigns, list(known.campaigns), "campaign"),
        products=_check_known(products, list(known.products), "product"),
        groups=_check_known(groups, [group.id for group in known.audiences.target_groups], "target group"),
        languages=_check_known(languages, list(known.languages), "language"),
        channels=_check_known(channels, list(known.channels), "channel"),
        each=each,
    )
    # No customer is waiting, so deadlines are relative to each call.
    settings = settings.changed(clock="event", llm_deadline_s=max(settings.llm.deadline_s, _MIN_DEADLINE_S))
    sample = list(requests(known, scope, clock.utc_now(), settings.llm.deadline_s))
    _render(known, sample)
    with llm_server(settings, lambda _: None) as running:
        written = asyncio.run(_write(running, known, sample))
    if texts_file is not None:
        texts_file.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in written))
    found = evaluate(known, written, load_models(known))
    if as_json:
        out.print(msgspec.json.encode(found).decode())
        return
    for line in _report(found):
        out.print(line)


def _render(playbook: Playbook, sample: list[MessageRequest]) -> None:
    """Raises Misconfigured for a prompt that cannot be rendered: the playbook check covers only the channels of its campaigns."""
    for request in sample:
        try:
            prompts.render(playbook, request)
        except jinja2.TemplateError as error:
            what = f"prompt `{request.prompt}` cannot be rendered for {request.channel} in {request.language}: {error}."
            raise Misconfigured(what, "use other channels, or add what is missing to the prompt") from error


async def _write(settings: Settings, playbook: Playbook, sample: list[MessageRequest]) -> list[Written]:
    """Writes texts concurrently, up to the limit `llm_in_flight`."""
    slots = asyncio.Semaphore(settings.llm.in_flight)
    done = 0
    async with OpenAiModel(settings) as model:
        text_writer = writer(settings, playbook, model, WorkerMetrics())
        err.print(f"attune: {len(sample)} texts by {await model.check()}; {await text_writer.check_prompts()}")

        async def write(request: MessageRequest) -> Written:
            nonlocal done
            async with slots:
                candidate = await text_writer.write(request)
            done += 1
            if done % _PROGRESS_INTERVAL == 0:
                err.print(f"attune: {done} of {len(sample)}")
            return Written(request, candidate)

        return list(await asyncio.gather(*map(write, sample)))


def _check_known(names: tuple[str, ...], known: list[str], what: str) -> tuple[str, ...]:
    """Returns the names. Raises Misconfigured for one that the playbook does not have."""
    if unknown := [name for name in names if name not in known]:
        raise Misconfigured(f"the playbook has no {what} {unknown[0]}.", f"one of: {', '.join(known)}")
    return names


def _report(found: Evaluation) -> list[Table | str]:
    table = Table(title=f"{found.playbook}, {found.model or 'no model was called'}", title_justify="left")
    for column in ("language", "channel", "texts", "first answer passes", "second answer passes", "template"):
        table.add_column(column, justify="left" if column in ("language", "channel") else "right")
    for row in found.rows:
        first = f"{row.first.value:.0%} ({row.first.low:.0%} to {row.first.high:.0%})"
        shares = (f"{row.after_reask / row.texts:.0%}", f"{row.template / row.texts:.0%}")
        table.add_row(row.language, row.channel, str(row.texts), first, *shares)
    lines: list[Table | str] = [table]
    if found.failures:
        lines.append("reasons for templates: " + ", ".join(f"{name} {times}" for name, times in found.failures.items()))
    if found.rejections:
        lines.append("rejected by: " + ", ".join(f"{name} {times}" for name, times in found.rejections.items()))
    lines.append(f"texts that a guardrail rejects when checked again: {found.unfit}")
    for language, recovered in found.recovery.items():
        share = f"{recovered.share.value:.0%} ({recovered.share.low:.0%} to {recovered.share.high:.0%})"
        lines.append(
            f"target group recovered from {recovered.texts} {language} texts: {share}, by chance {recovered.chance:.0%}"
        )
    lines.append(f"{found.calls} calls, {found.input_tokens} tokens in, {found.output_tokens} out")
    return lines
