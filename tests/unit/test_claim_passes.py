"""What the claim checker is trained on: changed facts change labels as they must, and nothing else."""

from __future__ import annotations

import random

import pytest

from workers.training.claim_passes import (
    CONTRADICTED,
    IGNORED,
    NONE,
    SUPPORTED,
    UNSUPPORTED,
    Pass,
    composed_passes,
    true_passes,
)
from workers.training.claims_corpus import LABELS, Example, Label, Product, Sentence, read_all

MUG = Product(
    product="mug",
    name={"en": "Mug"},
    category={"en": "mugs"},
    facts={"en": ["holds 300 ml", "not for the dishwasher", "weighs 210 g"]},
)


def example(text: str, label: Label, *facts: int, kind: str = "paraphrase", message: str = "") -> Example:
    sentence = Sentence(product="mug", lang="en", text=text, label=label, facts=list(facts), kind=kind, message=message)
    return Example(trade="mugs", product=MUG, sentence=sentence)


EXAMPLES = [
    example("Room for 300 ml of tea.", "supported", 0),
    example("Wash it by hand.", "supported", 1),
    example("A slow morning.", "none"),
    example("It keeps tea hot for hours.", "unsupported"),
    example("Put it in the dishwasher.", "contradicted", 1),
]


def drawn(times: int = 300) -> list[Pass]:
    return [one for seed in range(times) for one in composed_passes(EXAMPLES, random.Random(seed))]


def test_true_passes_are_the_corpus_as_written() -> None:
    passes = true_passes(EXAMPLES, size=2)
    assert [len(one.sentences) for one in passes] == [2, 2, 1]
    assert passes[0].facts == ["Mug (mugs)", "holds 300 ml", "not for the dishwasher", "weighs 210 g"]
    assert (passes[0].labels, passes[0].evidence) == ([SUPPORTED, SUPPORTED], [[1], [2]])


def test_a_message_stays_together_and_in_order() -> None:
    examples = [example(f"Sentence {n}.", "none", message="m" if n < 3 else "") for n in range(6)]
    assert ["Sentence 0.", "Sentence 1.", "Sentence 2."] in [one.sentences for one in true_passes(examples)]
    for seed in range(20):
        passes = composed_passes(examples, random.Random(seed))
        with_message = next(one for one in passes if "Sentence 1" in " ".join(one.sentences))
        assert " ".join(with_message.sentences) == "Sentence 0. Sentence 1. Sentence 2."


def test_each_sentence_is_in_every_round_once() -> None:
    for seed in range(20):
        text = " ".join(
            sentence for one in composed_passes(EXAMPLES, random.Random(seed)) for sentence in one.sentences
        )
        assert all(text.count(example.sentence.text) == 1 for example in EXAMPLES)


def test_what_claims_nothing_is_never_false_and_what_is_false_never_true() -> None:
    for one in drawn():
        for sentence, label in zip(one.sentences, one.labels, strict=True):
            if sentence == "A slow morning.":
                assert label == NONE
            elif "hot for hours" in sentence:
                assert label in (UNSUPPORTED, CONTRADICTED, IGNORED)


def test_without_its_fact_a_sentence_is_unsupported_and_with_another_number_contradicted() -> None:
    seen = set()
    for one in drawn():
        for sentence, label, evidence in zip(one.sentences, one.labels, one.evidence, strict=True):
            if sentence != "Room for 300 ml of tea.":
                continue
            facts = [one.facts[index] for index in evidence]
            expected = {"holds 300 ml": SUPPORTED}.get(facts[0], CONTRADICTED) if facts else UNSUPPORTED
            assert label == expected, (one.facts, facts)
            seen.add(label)
    assert seen == {SUPPORTED, UNSUPPORTED, CONTRADICTED}


def test_evidence_points_to_the_facts_wherever_they_stand() -> None:
    for one in drawn():
        for sentence, evidence in zip(one.sentences, one.evidence, strict=True):
            if sentence == "Wash it by hand." and evidence:
                assert one.facts[evidence[0]] in ("not for the dishwasher", "For the dishwasher")


@pytest.mark.slow
def test_the_corpus_is_composed_into_all_labels() -> None:
    examples = list(read_all())
    labels = [label for one in composed_passes(examples, random.Random(1)) for label in one.labels]
    assert set(labels) - {IGNORED} == set(range(len(LABELS)))
    assert labels.count(IGNORED) < 0.02 * len(labels)
    assert min(labels.count(label) for label in range(len(LABELS))) > 0.1 * len(labels)
