"""What becomes of a text by what a claim checker says of its sentences."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

import msgspec
import pytest

from schemas.messages import GuardrailVerdict, MessageText
from tests.support.playbooks import playbook, request
from workers.core.generation.draft import Draft
from workers.core.generation.llm import Completion
from workers.core.guardrails.check import check, passed, rejections
from workers.core.guardrails.grounding.claim_judge import Judgement
from workers.core.guardrails.models import NO_MODELS, Models
from workers.core.playbook.playbook import Playbook
from workers.core.playbook.policy import ClaimRules

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


CERTAINTY = {"hardly": 0.3, "maybe": 0.6, "surely": 0.95}


class Judge:
    """Takes sentences with a word of CERTAINTY for false with that probability, and all others for true."""

    def __init__(self, at_once: int = 100) -> None:
        self.asked: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
        self._at_once = at_once

    def judge(self, facts: Sequence[str], sentences: Sequence[str]) -> list[Judgement]:
        self.asked.append((tuple(facts), tuple(sentences)))
        return [
            Judgement(
                sentence=sentence, false=false, states="contradicted" if false > 0.9 else "unsupported", fact="a fact"
            )
            for sentence in sentences[: self._at_once]
            for false in [max((share for word, share in CERTAINTY.items() if word in sentence), default=0.0)]
        ]

    def calibrated(self, false: float, hints: Collection[str]) -> float:
        return min(1.0, false + 0.3 * ("numbers" in hints))


def unsupported(body: str, models: Models, marketing: Playbook | None = None) -> GuardrailVerdict:
    verdicts = check(MessageText(title="Your Smart Band", body=body), request(), marketing or playbook(), models)
    return next(verdict for verdict in verdicts if verdict.name == "unsupported")


def with_rules(**rules: object) -> Playbook:
    policy = msgspec.structs.replace(playbook().policy, claims=ClaimRules(**rules))  # type: ignore[arg-type]
    return msgspec.structs.replace(playbook(), policy=policy)


@pytest.mark.parametrize(
    ("body", "passes", "doubtful"),
    [
        ("Have a look. Still thinking?", True, False),
        ("Have a look. You need it, hardly.", True, False),
        ("Have a look. You need it, maybe.", False, True),
        ("You need it, surely. You need it, maybe.", False, False),
    ],
)
def test_the_worst_sentence_decides(body: str, *, passes: bool, doubtful: bool) -> None:
    rules = with_rules(pass_below=0.5, reject_from=0.9)
    verdict = unsupported(body, Models(claims=Judge()), rules)
    assert (verdict.passed, verdict.doubtful) == (passes, doubtful)


def test_the_verdict_names_the_sentence_the_fact_the_layer_and_the_score() -> None:
    verdict = unsupported("Have a look. You need it, surely.", Models(claims=Judge()), with_rules(reject_from=0.9))
    assert (verdict.sentence, verdict.fact, verdict.layer, verdict.score) == (
        "You need it, surely.",
        "a fact",
        "checker",
        0.95,
    )
    assert verdict.detail == '"You need it, surely." is against the fact "a fact"'


def test_the_judge_gets_name_and_facts_and_all_sentences_at_once() -> None:
    judge = Judge()
    unsupported("Have a look. Still thinking?", Models(claims=judge))
    ((facts, sentences),) = judge.asked
    assert facts[0].startswith("Smart Band (")
    assert facts[1:][: len(request().product.facts)] == tuple(request().product.facts)
    assert sentences == ("Your Smart Band", "Have a look.", "Still thinking?")


def test_a_text_that_is_longer_than_the_judges_input_is_judged_in_rounds() -> None:
    judge = Judge(at_once=2)
    verdict = unsupported("Have a look. Still thinking? You need it, surely.", Models(claims=judge))
    assert not verdict.passed
    assert [len(sentences) for _, sentences in judge.asked] == [4, 2]


def test_what_the_judge_cannot_take_is_not_passed() -> None:
    assert not unsupported("Have a look.", Models(claims=Judge(at_once=0))).passed


def test_words_and_numbers_that_no_fact_has_count_against_their_sentence_only() -> None:
    rules = with_rules(pass_below=0.5, reject_from=0.9)
    text = MessageText(title="Your Smart Band", body="It runs for 90 days. Have a look.")
    verdicts = {one.name: one for one in check(text, request(), rules, Models(claims=Judge()))}
    assert verdicts["numbers"].passed
    assert verdicts["unsupported"].passed
    assert verdicts["unsupported"].score == 0.3
    assert not next(one for one in check(text, request(), rules) if one.name == "numbers").passed


def test_without_a_judge_an_unknown_word_is_doubtful() -> None:
    text = MessageText(title="Your Smart Band", body="A gizmo for wizards: the Smart Band.")
    verdicts = check(text, request(), playbook(), NO_MODELS)
    assert not passed(verdicts)
    assert not rejections(verdicts)
    (verdict,) = (one for one in verdicts if not one.passed)
    assert (verdict.name, verdict.layer, verdict.doubtful) == ("unsupported", "words", True)
    assert verdict.sentence == "A gizmo for wizards: the Smart Band."


@pytest.mark.parametrize(("doubtful", "by"), [("template", "template"), ("review", "llm")])
def test_the_playbook_says_what_becomes_of_a_doubtful_text(doubtful: str, by: str) -> None:
    rules = with_rules(pass_below=0.5, reject_from=0.9, doubtful=doubtful)
    draft = Draft(rules, request(), Models(claims=Judge()), attempts=2)
    for certainty in ("maybe", "surely"):
        assert draft.next_call() is not None
        answer = f'{{"title": "Your Smart Band", "body": "Your Smart Band is still there. You need it, {certainty}."}}'
        draft.answer(Completion(text=answer, model="m", finish_reason="stop"))
    candidate = draft.result(NOW)
    assert candidate.generated_by == by
    assert [verdict.doubtful for verdict in candidate.verdicts if not verdict.passed] == [by == "llm"]


def test_what_a_person_wrote_is_not_doubted_away() -> None:
    """A text that is only doubtful is not rejected: templates and edits are people's words."""
    verdicts = check(
        MessageText(title="Your Smart Band", body="Your Smart Band is still there. You need it, maybe."),
        request(),
        with_rules(pass_below=0.5, reject_from=0.9),
        Models(claims=Judge()),
    )
    assert not passed(verdicts)
    assert not rejections(verdicts)
