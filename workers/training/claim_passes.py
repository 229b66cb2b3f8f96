"""Composes what the claim checker is trained on: facts and sentences in one pass, with what each sentence states of the facts.

A sentence of the corpus teaches more than once. Without the fact that supports it, it is unsupported; with another number in
that fact, or with its opposite, it is contradicted; with the facts of another product it claims something that nobody knows.
The labels follow from the indexes of the facts, which the writers of the corpus gave.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from workers.training import fact_changes
from workers.training.claims_corpus import LABELS, Example, Product

NONE, SUPPORTED, UNSUPPORTED, CONTRADICTED = range(len(LABELS))
#: Label of a sentence whose truth a change of the facts left open; it is not counted.
IGNORED = -100
_LONGEST_PASS = 6


class Pass(msgspec.Struct, frozen=True, kw_only=True):
    """`facts`: name and category first, then the facts. For each sentence: `labels` (an index of LABELS, or IGNORED) and
    `evidence`, the indexes in `facts` of those that it uses or violates.
    """

    facts: list[str]
    sentences: list[str]
    labels: list[int]
    evidence: list[list[int]]


class _Claim(msgspec.Struct, kw_only=True):
    message: str
    text: str
    label: int
    facts: set[int]
    kind: str


def true_passes(examples: Iterable[Example], size: int = 3) -> list[Pass]:
    """Returns the sentences as written, with all facts in their order: a message in a pass, or `size` sentences that stand
    alone, of one product and language.
    """
    passes = []
    for product, lang, claims in _grouped(examples):
        facts = dict(enumerate(product.facts[lang]))
        messages, alone = _messages(claims)
        together = [*messages, *(alone[i : i + size] for i in range(0, len(alone), size))]
        passes += [_pass(product, lang, facts, list(facts), part) for part in together]
    return passes


def composed_passes(examples: Sequence[Example], rng: random.Random) -> list[Pass]:
    """Returns each sentence once, in passes whose facts are changed at random. Another call gives other passes."""
    products: dict[str, list[Product]] = defaultdict(list)
    for example in examples:
        if example.product not in products[example.trade]:
            products[example.trade].append(example.product)
    trade_of = {product.product: trade for trade, found in products.items() for product in found}
    passes = []
    for product, lang, claims in _grouped(examples):
        together, alone = _messages(claims)
        rng.shuffle(alone)
        while alone:
            size = rng.randint(1, _LONGEST_PASS)
            together.append(alone[:size])
            alone = alone[size:]
        others = [other for other in products[trade_of[product.product]] if other is not product]
        passes += [_composed(product, lang, [_copied(claim) for claim in part], others, rng) for part in together]
    rng.shuffle(passes)
    return passes


def _messages(claims: list[_Claim]) -> tuple[list[list[_Claim]], list[_Claim]]:
    """Returns (the sentences of each message, those that stand alone)."""
    messages: dict[str, list[_Claim]] = defaultdict(list)
    for claim in claims:
        messages[claim.message].append(claim)
    alone = messages.pop("", [])
    return list(messages.values()), alone


def _composed(product: Product, lang: str, claims: list[_Claim], others: list[Product], rng: random.Random) -> Pass:
    facts = dict(enumerate(product.facts[lang]))
    way = rng.random()
    if way < 0.25:
        _drop_evidence(facts, claims, rng)
    elif way < 0.31 and others:
        _drop_all(claims)
        other = rng.choice(others)
        facts = {100 + i: fact for i, fact in enumerate(other.facts[lang]) if fact not in product.facts[lang]}
    elif way < 0.7:
        _change_one(facts, claims, lang, rng)
    used = {index for claim in claims for index in claim.facts}
    for index in [index for index in facts if index not in used]:
        if rng.random() < 0.15:
            del facts[index]
    if rng.random() < 0.1 and len(claims) > 1:
        claims = [_joined(claims[0], claims[1], lang), *claims[2:]]
    order = list(facts)
    if rng.random() < 0.7:
        rng.shuffle(order)
    return _pass(product, lang, facts, order, claims)


def _drop_evidence(facts: dict[int, str], claims: list[_Claim], rng: random.Random) -> None:
    """Takes away about half of the facts that the claims need."""
    dropped = {index for index in {i for claim in claims for i in claim.facts} if rng.random() < 0.5}
    for index in dropped:
        del facts[index]
    for claim in claims:
        if claim.facts & dropped:
            claim.facts -= dropped
            claim.label = NONE if claim.label == NONE else UNSUPPORTED


def _drop_all(claims: list[_Claim]) -> None:
    for claim in claims:
        claim.facts = set()
        if claim.label != NONE:
            claim.label = UNSUPPORTED


def _change_one(facts: dict[int, str], claims: list[_Claim], lang: str, rng: random.Random) -> None:
    """Changes the fact of one claim, if there is a claim whose label then is certain. Other claims on that fact do not count."""
    able = [claim for claim in claims if claim.label in (SUPPORTED, CONTRADICTED) and len(claim.facts) == 1]
    rng.shuffle(able)
    for claim in able:
        (index,) = claim.facts
        if (changed := _changed(facts[index], claim, lang, rng)) is None:
            continue
        facts[index], claim.label = changed
        for other in claims:
            if other is not claim and index in other.facts and other.label in (SUPPORTED, CONTRADICTED):
                other.label = IGNORED
        return


def _changed(fact: str, claim: _Claim, lang: str, rng: random.Random) -> tuple[str, int] | None:
    """Returns (the changed fact, the label that the claim then has); None = no change of this fact makes it certain."""
    if claim.label == CONTRADICTED:
        changed = None
        if claim.kind == "wrong_number":
            changed = fact_changes.number_of(fact, claim.text)
        elif claim.kind == "negated":
            changed = fact_changes.opposite(fact, lang)
        return None if changed is None else (changed, SUPPORTED)
    numbers = fact_changes.NUMBER.findall(fact)
    ways = [
        fact_changes.swapped_numbers(fact, claim.text),
        fact_changes.other_number(fact, claim.text, rng),
        fact_changes.other_kind(fact, claim.text, lang, rng),
        fact_changes.opposite(fact, lang),
    ]
    if claim.kind == "number_form" and len(numbers) == 1:
        ways.append(fact_changes.other_number(fact, numbers[0], rng))
    rng.shuffle(ways)
    changed = next(filter(None, ways), None)
    return None if changed is None else (changed, CONTRADICTED)


def _joined(one: _Claim, other: _Claim, lang: str) -> _Claim:
    label = IGNORED if IGNORED in (one.label, other.label) else max(one.label, other.label)
    between = "" if lang == "zh" else " "
    return _Claim(
        message=one.message,
        text=one.text + between + other.text,
        label=label,
        facts=one.facts | other.facts,
        kind="joined",
    )


def _grouped(examples: Iterable[Example]) -> list[tuple[Product, str, list[_Claim]]]:
    """Returns the sentences about each product in each language."""
    groups: dict[tuple[str, str], tuple[Product, str, list[_Claim]]] = {}
    for example in examples:
        key = example.product.product, example.sentence.lang
        _, _, claims = groups.setdefault(key, (example.product, example.sentence.lang, []))
        claims.append(_claim(example))
    return list(groups.values())


def _claim(example: Example) -> _Claim:
    sentence = example.sentence
    return _Claim(
        message=sentence.message,
        text=sentence.text,
        label=LABELS.index(sentence.label),
        facts=set(sentence.facts),
        kind=sentence.kind,
    )


def _copied(claim: _Claim) -> _Claim:
    return msgspec.structs.replace(claim, facts=set(claim.facts))


def _pass(product: Product, lang: str, facts: dict[int, str], order: list[int], claims: list[_Claim]) -> Pass:
    place = {index: 1 + place for place, index in enumerate(order)}
    return Pass(
        facts=[f"{product.name[lang]} ({product.category[lang]})", *(facts[index] for index in order)],
        sentences=[claim.text for claim in claims],
        labels=[claim.label for claim in claims],
        evidence=[sorted(place[index] for index in claim.facts if index in place) for claim in claims],
    )
