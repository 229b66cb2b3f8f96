"""Turns what the claim checker says into a probability, with what the guardrails of words and numbers add to it.

A logistic model over the checker's log odds and the objections of claim_judge.HINTS, fitted on trades that the checker was not
trained on: what it says of those it was trained on is too certain.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import msgspec
import numpy as np

from schemas.messages import MessageText, ProductFacts
from workers.core.generation.templates import TextContext
from workers.core.guardrails.checks.claims import overstated
from workers.core.guardrails.checks.numbers import odd_amount
from workers.core.guardrails.checks.unsupported import evidence
from workers.core.guardrails.grounding.claim_judge import HINTS, ClaimJudge
from workers.core.guardrails.grounding.subject import subject
from workers.core.guardrails.grounding.vocabulary import unstated
from workers.core.playbook.playbook import Playbook
from workers.training.claims_corpus import LABELS, Example, Label

_GUARDRAILS = {"numbers": odd_amount, "overstated": overstated}
#: Of the false sentences about products without facts.
CAUGHT = 0.96
#: Pulls weights towards zero, as much as this many sentences would.
_RIDGE = 2.0


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """One sentence. `log_odds`: of the checker, that it is false. `hints`: the guardrails that object. `text`: the product, the
    language and the message that it belongs to, or itself; `message`: "" = it stands alone.
    """

    text: tuple[str, ...]
    message: str
    kind: str
    log_odds: float
    hints: frozenset[str]
    is_false: bool


def observe(judge: ClaimJudge, examples: Iterable[Example], playbook: Playbook) -> list[Observed]:
    """Asks the judge and the guardrails about each sentence, those of a message together. Only the playbook's policy matters."""
    texts: dict[tuple[str, ...], list[Example]] = defaultdict(list)
    for example in examples:
        sentence = example.sentence
        texts[sentence.product, sentence.lang, sentence.message or sentence.text].append(example)
    return [one for key, parts in texts.items() for one in _observed(judge, key, parts, playbook)]


def without_facts(examples: Iterable[Example]) -> list[Example]:
    """Returns the examples as if nothing were known of their products but the name: every claim is then unsupported. What was
    true is left out, because nobody would write it.
    """
    bare = []
    for example in examples:
        sentence = example.sentence
        if sentence.label == "supported":
            continue
        product = msgspec.structs.replace(example.product, facts={lang: [] for lang in example.product.facts})
        label: Label = "none" if sentence.label == "none" else "unsupported"
        bare.append(
            msgspec.structs.replace(
                example, product=product, sentence=msgspec.structs.replace(sentence, label=label, facts=[])
            )
        )
    return bare


def _observed(
    judge: ClaimJudge, key: tuple[str, ...], parts: Sequence[Example], playbook: Playbook
) -> Iterator[Observed]:
    product, lang = parts[0].product, parts[0].sentence.lang
    facts = [f"{product.name[lang]} ({product.category[lang]})", *product.facts[lang]]
    judged = judge.judge(facts, [example.sentence.text for example in parts])
    for example, judgement in zip(parts, judged, strict=False):
        bounded = min(max(judgement.false, 1e-6), 1 - 1e-6)
        yield Observed(
            text=key,
            message=example.sentence.message,
            kind=example.sentence.kind,
            log_odds=math.log(bounded / (1 - bounded)),
            hints=_hints(example, playbook),
            is_false=LABELS.index(example.sentence.label) > LABELS.index("supported"),
        )


def _hints(example: Example, playbook: Playbook) -> frozenset[str]:
    product, lang = example.product, example.sentence.lang
    about = TextContext(
        language=lang,
        channel="",
        product=ProductFacts(
            product_id=product.product,
            name=product.name[lang],
            category=product.category[lang],
            facts=product.facts[lang],
        ),
    )
    checked = subject(MessageText(body=example.sentence.text), about, playbook)
    objections = {name: text for name, guardrail in _GUARDRAILS.items() if (text := guardrail(checked)) is not None}
    return frozenset(evidence(checked, checked.text, unstated(checked), objections))


def fit(observed: Sequence[Observed]) -> dict[str, float]:
    """Returns the weights of Card.weights but `no_facts`: the maximum of the likelihood, by Newton's method."""
    hints = [name for name in HINTS if name != "no_facts"]
    names = ("bias", "checker", *hints)
    rows = np.array([[1.0, one.log_odds, *(name in one.hints for name in hints)] for one in observed], float)
    truth = np.array([one.is_false for one in observed], float)
    weights = np.zeros(len(names))
    for _ in range(50):
        shares = 1 / (1 + np.exp(-rows @ weights))
        gradient = rows.T @ (truth - shares) - _RIDGE * weights
        curvature = (rows * (shares * (1 - shares))[:, None]).T @ rows + _RIDGE * np.eye(len(names))
        step = np.linalg.solve(curvature, gradient)
        weights += step
        if np.abs(step).max() < 1e-9:
            break
    return {name: round(float(weight), 4) for name, weight in zip(names, weights, strict=True)}


def fit_no_facts(bare: Sequence[Observed], weights: dict[str, float], threshold: float) -> dict[str, float]:
    """Returns `weights` with `no_facts`: so that of the false sentences about products without facts, the share CAUGHT is at or
    above `threshold`. How many of the sentences about such products are false depends on the shop; a likelihood would take
    the share in the corpus for it.
    """
    neutral = weights | {"no_facts": 0.0}
    false = [score for one, score in zip(bare, scores(bare, neutral), strict=True) if one.is_false]
    lowest = float(np.quantile(false, 1 - CAUGHT))
    weight = math.log(threshold / (1 - threshold)) - math.log(lowest / (1 - lowest))
    return weights | {"no_facts": round(weight, 4)}


def scores(observed: Sequence[Observed], judge_weights: dict[str, float]) -> list[float]:
    """Returns the calibrated probability of each sentence."""
    odds = [
        judge_weights["bias"] + judge_weights["checker"] * one.log_odds + sum(judge_weights[name] for name in one.hints)
        for one in observed
    ]
    return [1 / (1 + math.exp(-value)) for value in odds]


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """`auc`: of telling false sentences from others. `recall`: share of the false ones that is found where 5 % of the others are
    taken for false; in all, and by kind.
    """

    sentences: int
    auc: float
    recall: float
    recall_by_kind: dict[str, float]


def quality(observed: Sequence[Observed], weights: dict[str, float]) -> Quality:
    """Measures the calibrated scores of sentences; there must be false ones and others."""
    scored = list(zip(observed, scores(observed, weights), strict=True))
    others = [score for one, score in scored if not one.is_false]
    false = [(one.kind, score) for one, score in scored if one.is_false]
    values = [score for _, score in false]
    threshold = np.quantile(others, 0.95)
    kinds: dict[str, list[bool]] = defaultdict(list)
    for kind, score in false:
        kinds[kind].append(bool(score > threshold))
    return Quality(
        sentences=len(scored),
        auc=round(auc(values, others), 4),
        recall=round(float(np.mean(np.array(values) > threshold)), 3),
        recall_by_kind={kind: round(sum(found) / len(found), 2) for kind, found in sorted(kinds.items())},
    )


def auc(false: Sequence[float], others: Sequence[float]) -> float:
    """Returns the probability that a false one has a higher score than another; 0.5 = no better than chance."""
    ordered = np.sort(np.array(others))
    above = np.searchsorted(ordered, false, "left") + np.searchsorted(ordered, false, "right")
    return float(above.mean() / 2 / len(ordered))


def of_texts(observed: Sequence[Observed], weights: dict[str, float]) -> tuple[list[float], list[float]]:
    """Returns the scores (false texts, others): each that of its worst sentence. A text is false if a sentence of it is."""
    worst: dict[tuple[str, ...], float] = defaultdict(float)
    is_false: dict[tuple[str, ...], bool] = defaultdict(bool)
    for one, score in zip(observed, scores(observed, weights), strict=True):
        worst[one.text] = max(worst[one.text], score)
        is_false[one.text] = is_false[one.text] or one.is_false
    return [worst[text] for text in worst if is_false[text]], [worst[text] for text in worst if not is_false[text]]


def thresholds(false: Sequence[float], others: Sequence[float]) -> dict[str, dict[str, float]]:
    """Returns threshold → the share of false texts at or above it (`recall`), and of the others (`false_rejects`)."""
    found = {}
    for percent in (*range(5, 100, 5), 98):
        threshold = percent / 100
        found[str(threshold)] = {
            "recall": round(float(np.mean(np.array(false) >= threshold)), 3),
            "false_rejects": round(float(np.mean(np.array(others) >= threshold)), 3),
        }
    return found
