"""Measures how well a model writes for a playbook: how many texts pass, and why the others do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from schemas.learning import Estimate
from schemas.messages import Candidate, MessageRequest, MessageText
from workers.core.experimentation.intervals import wilson
from workers.core.generation.evaluation.group_recovery import Labelled, Recovery, recover
from workers.core.guardrails.check import check, passed
from workers.core.guardrails.models import NO_MODELS, Models
from workers.core.playbook.playbook import Playbook


class Written(msgspec.Struct, frozen=True):
    """One request and the candidate that `generate` would have produced."""

    request: MessageRequest
    candidate: Candidate

    @property
    def origin(self) -> str:
        """`first`: the model's first answer passed; `re-ask`: its second; `template`: neither, or the model was not called."""
        if self.candidate.generated_by == "template":
            return "template"
        return "first" if self.candidate.usage.calls == 1 else "re-ask"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """The origin of the texts of one language and channel. Shares are of `texts`."""

    language: str
    channel: str
    texts: int
    first: Estimate
    after_reask: int
    template: int


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """The results of an evaluation.

    `failures`: reason → how often the model's own text was not used. `rejections`: guardrail → how often it rejected the last
    answer. `unfit`: texts that would have been published although a guardrail rejects them when checked again: always 0.
    `recovery`: language → whether the groups of the model's own texts can be inferred. Tokens are of all calls.
    """

    playbook: str
    model: str
    rows: list[Row]
    failures: dict[str, int]
    rejections: dict[str, int]
    unfit: int
    recovery: dict[str, Recovery]
    calls: int
    input_tokens: int
    output_tokens: int


def evaluate(playbook: Playbook, written: Sequence[Written], models: Models = NO_MODELS) -> Evaluation:
    """Summarises the results of the requests."""
    own = [one for one in written if one.candidate.generated_by == "llm"]
    usage = [one.candidate.usage for one in written]
    return Evaluation(
        playbook=f"{playbook.name} {playbook.version}",
        model=next((one.model for one in usage if one.model), ""),
        rows=list(_rows(written)),
        failures=dict(Counter(one.candidate.failure for one in written if one.candidate.failure).most_common()),
        rejections=dict(
            Counter(
                verdict.name for one in written for verdict in one.candidate.verdicts if not verdict.passed
            ).most_common()
        ),
        unfit=sum(not _fit(one, playbook, models) for one in written),
        recovery={
            language: found
            for language in playbook.languages
            if (found := _recovered(playbook, own, language)) is not None
        },
        calls=sum(one.calls for one in usage),
        input_tokens=sum(one.input_tokens for one in usage),
        output_tokens=sum(one.output_tokens for one in usage),
    )


def _rows(written: Sequence[Written]) -> Iterator[Row]:
    cells: dict[tuple[str, str], list[Written]] = {}
    for one in written:
        cells.setdefault((one.request.language, one.request.channel), []).append(one)
    for (language, channel), texts in sorted(cells.items()):
        origins = Counter(one.origin for one in texts)
        yield Row(
            language=language,
            channel=channel,
            texts=len(texts),
            first=wilson(origins["first"], len(texts)),
            after_reask=origins["re-ask"],
            template=origins["template"],
        )


def _fit(one: Written, playbook: Playbook, models: Models) -> bool:
    checked = check(one.candidate.text, one.request, playbook, models)
    return passed(checked)


def _recovered(playbook: Playbook, own: Sequence[Written], language: str) -> Recovery | None:
    texts = [
        Labelled(_words(one.candidate.text), one.request.target_group, _cell(one.request))
        for one in own
        if one.request.language == language
    ]
    return recover(texts, _names(playbook, language))


def _cell(request: MessageRequest) -> str:
    return "/".join((request.campaign_id, request.product.product_id, request.channel))


def _words(text: MessageText) -> str:
    return "\n".join(filter(None, msgspec.structs.asdict(text).values()))


def _names(playbook: Playbook, language: str) -> Iterator[str]:
    """Yields the words that name the groups: id, name, angle, and every word in them of at least four characters."""
    for group in playbook.audiences.target_groups:
        labels = (group.id, group.name.get(language, ""), group.angle.get(language, ""))
        yield from filter(None, labels)
        yield from (word for label in labels for word in label.replace(",", " ").split() if len(word) > 3)
