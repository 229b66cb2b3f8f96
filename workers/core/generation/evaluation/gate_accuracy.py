"""Measures the guardrails themselves on labelled texts: how many bad ones they reject, and how many good ones."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import msgspec

from schemas.messages import GuardrailVerdict, MessageText
from workers.core.catalogue.product_facts import facts_by_id
from workers.core.experimentation import arms
from workers.core.generation.templates import TextContext
from workers.core.guardrails.check import check
from workers.core.guardrails.models import Models
from workers.core.playbook.playbook import Playbook


class LabelledText(msgspec.Struct, frozen=True, kw_only=True):
    """One text with a person's verdict. `kind` says why it is good or bad; it is only reported.

    `product` is an id; one that the playbook does not describe has no facts, like a product known from events alone.
    """

    id: str
    lang: str
    locale: str = ""
    channel: str
    product: str = ""
    group: str = ""
    campaign: str = ""
    fields: dict[str, str]
    verdict: Literal["good", "bad"]
    kind: str = ""

    @property
    def text(self) -> MessageText:
        """The fields as a text. Raises msgspec.ValidationError for a field that no channel has."""
        if unknown := self.fields.keys() - set(MessageText.__struct_fields__):
            raise msgspec.ValidationError(f"there is no field {min(unknown)}")
        return msgspec.convert(self.fields, MessageText)


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A labelled text and the guardrails that rejected it, or doubt it."""

    text: LabelledText
    rejected_by: list[GuardrailVerdict]
    cpu_s: float

    @property
    def is_doubtful(self) -> bool:
        """True if the text does not pass, but is not rejected either."""
        return bool(self.rejected_by) and all(verdict.doubtful for verdict in self.rejected_by)

    @property
    def is_miss(self) -> bool:
        """True for a bad text that passed."""
        return self.text.verdict == "bad" and not self.rejected_by

    @property
    def is_false_reject(self) -> bool:
        """True for a good text that was rejected."""
        return self.text.verdict == "good" and bool(self.rejected_by)


class Shares(msgspec.Struct, frozen=True, kw_only=True):
    """`recall`: share of the `bad` texts that did not pass; `false_rejects`: share of the `good` ones. Of none it is null."""

    bad: int
    good: int
    recall: float | None
    false_rejects: float | None


class GateAccuracy(msgspec.Struct, frozen=True, kw_only=True):
    """`recall` and `false_rejects` as in Shares, of all texts, and by language and kind in alphabetical order.

    `rejected_by`: guardrail → number of texts that it rejected or doubts. `doubtful`: number of texts, of those that did not
    pass, that are merely doubtful: a person may let them pass. `ms_per_text`: CPU time [ms], without loading patterns and
    models.
    """

    playbook: str
    texts: int
    bad: int
    good: int
    recall: float | None
    false_rejects: float | None
    by_language: dict[str, Shares]
    by_kind: dict[str, Shares]
    rejected_by: dict[str, int]
    doubtful: int
    ms_per_text: float


def judge(
    playbook: Playbook, texts: Iterable[LabelledText], models: Models, cpu_time_s: Callable[[], float]
) -> list[Judged]:
    """Runs every guardrail on every text. Channels must be in the playbook. Raises msgspec.ValidationError; see LabelledText."""
    judged: list[Judged] = []
    for labelled in texts:
        about, example_words = _context(playbook, labelled), _example_words(playbook, labelled)
        if not judged:  # loads patterns and language models
            check(labelled.text, about, playbook, models, example_words)
        began_s = cpu_time_s()
        verdicts = check(labelled.text, about, playbook, models, example_words)
        cpu_s = cpu_time_s() - began_s
        rejected_by = [verdict for verdict in verdicts if not verdict.passed]
        judged.append(Judged(text=labelled, rejected_by=rejected_by, cpu_s=cpu_s))
    return judged


def accuracy(playbook: Playbook, judged: Sequence[Judged]) -> GateAccuracy:
    """Summarises judgements."""
    rejections = Counter(verdict.name for one in judged for verdict in one.rejected_by)
    total = _shares(judged)
    return GateAccuracy(
        playbook=f"{playbook.name} {playbook.version}",
        texts=len(judged),
        bad=total.bad,
        good=total.good,
        recall=total.recall,
        false_rejects=total.false_rejects,
        by_language=_by(judged, lambda one: one.text.lang),
        by_kind=_by(judged, lambda one: one.text.kind),
        rejected_by=dict(sorted(rejections.items(), key=lambda item: (-item[1], item[0]))),
        doubtful=sum(one.is_doubtful for one in judged),
        ms_per_text=round(1000 * sum(one.cpu_s for one in judged) / len(judged), 2) if judged else 0.0,
    )


def _context(playbook: Playbook, labelled: LabelledText) -> TextContext:
    facts = facts_by_id(playbook, labelled.product or "none", labelled.lang)
    return TextContext(
        language=labelled.lang, channel=labelled.channel, product=facts, locale=labelled.locale or labelled.lang
    )


def _example_words(playbook: Playbook, labelled: LabelledText) -> tuple[str, ...]:
    """Returns the words of the examples in the prompts of the text's campaign: copy must not repeat them."""
    campaign = playbook.campaigns.get(labelled.campaign)
    if campaign is None:
        return ()
    ids = dict.fromkeys(arm.prompt for arm in arms.sending(campaign).values())
    prompts = (playbook.prompts.get((prompt, labelled.lang)) for prompt in ids)
    return tuple(word for prompt in prompts if prompt is not None for word in prompt.decoding.example_words)


def _shares(judged: Sequence[Judged]) -> Shares:
    bad = [bool(one.rejected_by) for one in judged if one.text.verdict == "bad"]
    good = [bool(one.rejected_by) for one in judged if one.text.verdict == "good"]
    return Shares(bad=len(bad), good=len(good), recall=_mean(bad), false_rejects=_mean(good))


def _mean(rejected: Sequence[bool]) -> float | None:
    return round(sum(rejected) / len(rejected), 4) if rejected else None


def _by(judged: Sequence[Judged], name: Callable[[Judged], str]) -> dict[str, Shares]:
    grouped: dict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        grouped[name(one)].append(one)
    return {key: _shares(grouped[key]) for key in sorted(grouped)}
