"""Rejects a text with a sentence that states something no fact says, as a trained checker judges it.

The checker is not certain, so its verdict has a score and three outcomes: a text passes, is rejected, or is doubtful. Without a
checker a word that is neither in the facts nor neutral makes a text doubtful.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from schemas.messages import GuardrailVerdict
from workers.core.guardrails.grounding.claim_judge import ClaimJudge, Judgement
from workers.core.guardrails.grounding.prices import ANNOUNCED, amount
from workers.core.guardrails.grounding.subject import Subject
from workers.core.guardrails.grounding.vocabulary import unstated, unstated_lines
from workers.core.text.normalize import normalised
from workers.core.text.sentences import sentences

NAME = "unsupported"
_QUOTED = re.compile(r'"([^"]+)"')
#: The layer that gave a verdict: the trained checker, or the list of neutral words.
CHECKER, WORDS = "checker", "words"


def unsupported(subject: Subject, judge: ClaimJudge | None, hints: Mapping[str, str]) -> GuardrailVerdict:
    """Returns the verdict on the worst sentence of a text, by the thresholds of the playbook (policy.claims).

    `hints`: `numbers` or `overstated` → the objection, which quotes words of the text.
    """
    if judge is None:
        return _by_words(subject)
    judged = _judged(subject, judge)
    if not judged:
        return GuardrailVerdict(name=NAME, passed=True)
    lines = [normalised(judgement.sentence).casefold() for judgement in judged]
    unknown = unstated_lines(subject, lines)
    scored = [
        _scored(judgement, judge, evidence(subject, line, words, hints))
        for judgement, line, words in zip(judged, lines, unknown, strict=True)
    ]
    score, worst, objection = max(scored, key=lambda one: one[0])
    rules = subject.playbook.policy.claims
    if score < rules.pass_below:
        return GuardrailVerdict(name=NAME, passed=True, score=score)
    against = f'against the fact "{worst.fact}"' if worst.states == "contradicted" else "stated by no fact"
    return GuardrailVerdict(
        name=NAME,
        passed=False,
        doubtful=score < rules.reject_from,
        detail=objection or f'"{worst.sentence}" is {against}',
        layer=CHECKER,
        sentence=worst.sentence,
        fact=worst.fact,
        score=score,
    )


def evidence(subject: Subject, line: str, unknown: str | None, hints: Mapping[str, str]) -> dict[str, str]:
    """Returns which of HINTS hold for one normalised, case-folded sentence → what a guardrail objects ("" = no guardrail does).

    `unknown`: its first word that is neither in the facts nor neutral.
    """
    found = {name: text for name, text in hints.items() if (quoted := _QUOTED.search(text)) and quoted[1] in line}
    if unknown is not None:
        found["words"] = ""
    if not subject.about.product.facts:
        found["no_facts"] = ""
    return found


def _scored(judgement: Judgement, judge: ClaimJudge, found: Mapping[str, str]) -> tuple[float, Judgement, str]:
    """Returns (score, the judgement, the first objection of another guardrail to this sentence)."""
    return round(judge.calibrated(judgement.false, found), 3), judgement, next(filter(None, found.values()), "")


def _by_words(subject: Subject) -> GuardrailVerdict:
    unknown = unstated(subject)
    if unknown is None:
        return GuardrailVerdict(name=NAME, passed=True)
    sentence = next((one for one in _sentences(subject) if unknown in one.casefold()), "")
    return GuardrailVerdict(
        name=NAME,
        passed=False,
        doubtful=True,
        detail=f'"{unknown}" is neither in the product facts nor a neutral word',
        layer=WORDS,
        sentence=sentence,
    )


def _judged(subject: Subject, judge: ClaimJudge) -> list[Judgement]:
    """Judges every sentence; those of a text that is longer than the judge's input in several rounds."""
    left, judged = _sentences(subject), list[Judgement]()
    facts = _facts(subject)
    while left:
        found = judge.judge(facts, left)
        if not found:  # not even one sentence fits
            return [*judged, Judgement(sentence=left[0], false=1.0, states="unsupported")]
        judged += found
        left = left[len(found) :]
    return judged


def _sentences(subject: Subject) -> list[str]:
    """Returns the sentences of all fields, but for those that announce a lower price: `market` checks them."""
    found = [sentence for field in subject.fields.values() for sentence in sentences(field)]
    if subject.reduction is None:
        return found
    return [sentence for sentence in found if not ANNOUNCED.search(sentence.casefold())]


def _facts(subject: Subject) -> list[str]:
    """Returns the product's name and category, then its facts, then its price."""
    product, language = subject.about.product, subject.about.language
    category = subject.playbook.category_names.get(product.category, {}).get(language, product.category)
    name = " ".join(dict.fromkeys(filter(None, (product.brand, product.name))))
    price = [] if product.price is None else [f"{amount(product.price)} {product.currency or ''}".strip()]
    return [f"{name} ({category})" if category else name, *product.facts, *price]
