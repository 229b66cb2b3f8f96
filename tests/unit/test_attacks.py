"""Attacks through names, reviews, chats and the model itself: the payload stays data, and what leaves is clean."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from schemas.messages import MessageRequest, MessageText
from tests.support.attacks import (
    DETECTORS,
    HARMLESS_BODY,
    IN_PRODUCT,
    TITLE,
    Attack,
    all_fields,
    attacks,
    lookalikes,
    request_with,
    violations,
)
from tests.support.playbooks import CAMPAIGN, NOW, REES46, SMART_DEVICES, all_models, models, playbook
from workers.core.generation import answer_parsing, prompts
from workers.core.generation.draft import Draft
from workers.core.generation.llm import Completion, CompletionUsage
from workers.core.generation.rendering import product_words
from workers.core.generation.templates import template_text
from workers.core.guardrails.check import check

ATTACKS = attacks()
LOOKALIKES = lookalikes()
#: What the last turn may grow by, whatever is in the fields of an attacker [characters].
_MOST_GROWTH = 300
_DATA = re.compile(r"<<<.*?>>>", re.DOTALL)
#: Guardrails that say nothing of an attack: a text they alone stop was stopped by luck.
_FORM = {"structure", "length", "relevance", "repetition"}

each_attack = pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.id)


def answer(text: str) -> Completion:
    """An answer of the model."""
    return Completion(text=text, model="m", finish_reason="stop", usage=CompletionUsage(), latency_s=0.1)


def harmless(language_: str) -> MessageText:
    """A text that nothing is wrong with."""
    return MessageText(title=TITLE[language_], body=HARMLESS_BODY[language_])


def outside(turn: str) -> str:
    """A turn without its data blocks."""
    return _DATA.sub("<<<>>>", turn)


def of_group(request: MessageRequest, group: str) -> MessageRequest:
    """The request for a target group of another playbook."""
    return msgspec.structs.replace(request, target_group=group)


def unseen(turn: str) -> list[str]:
    """Characters that nobody sees, and marks heaped on one letter."""
    hidden = [
        one for one in turn if one != "\n" and unicodedata.category(one) in ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp")
    ]
    return hidden + re.findall(r"[\u0300-\u036f]{2}|[\ufe00-\ufe0f\U000e0100-\U000e01ef\u3164\u115f\u2800]", turn)


def test_the_set_has_two_hundred_attacks_of_every_kind_in_both_languages() -> None:
    assert len({attack.id for attack in ATTACKS}) == len(ATTACKS) >= 200
    kinds = Counter(attack.kind for attack in ATTACKS)
    assert len(kinds) >= 17
    assert min(kinds.values()) >= 8
    assert min(Counter(attack.language for attack in ATTACKS).values()) >= 70
    assert len({attack.payload for attack in ATTACKS}) >= 180
    assert {term for attack in ATTACKS for term in attack.must_not} >= DETECTORS.keys()


@each_attack
@pytest.mark.parametrize("folder", [SMART_DEVICES, REES46], ids=lambda path: path.name)
def test_a_payload_stays_inside_its_data_block_in_every_place(attack: Attack, folder: Path) -> None:
    known = playbook(folder)
    group = known.audiences.default_target_group
    for where in (*IN_PRODUCT, "customer_context", "customer_context_name"):
        plain = of_group(request_with(attack.language, where, "Bright", attack.key, attack.channel), group)
        hostile = of_group(
            request_with(attack.language, where, attack.payload * attack.times, attack.key, attack.channel), group
        )
        before, after = prompts.render(known, plain), prompts.render(known, hostile)
        assert [turn.role for turn in after] == [turn.role for turn in before]
        assert after[:-1] == before[:-1]
        assert outside(after[-1].content) == outside(before[-1].content)
        assert len(after[-1].content) <= len(before[-1].content) + _MOST_GROWTH
        assert not unseen(after[-1].content)


@each_attack
def test_what_is_asked_again_quotes_no_attack_outside_the_data_block(attack: Attack) -> None:
    for given in attack.answers():
        writing = Draft(playbook(), attack.request(), models())
        first = writing.next_call()
        writing.answer(answer(given))
        second = writing.next_call()
        assert first is not None
        if second is None:  # what was wrong with it was in fields that nobody asked for
            assert (attack.id, writing.result(NOW).failure) == ("json-2", "")
            continue
        assert second.messages[:-1] == first.messages[:-1]
        added = second.messages[-1].content.removeprefix(first.messages[-1].content)
        assert added != second.messages[-1].content
        assert added.count("\n") == 1
        assert len(added) <= _MOST_GROWTH
        assert not re.search(r"[<>{}=|`\[\]]|^\s*\w+:", added)
        assert not re.search(r"ignore|disregard|忽略|无视", added)


@pytest.mark.parametrize("with_checker", [False, True], ids=["rules", "checker"])
@each_attack
def test_what_leaves_is_clean_even_when_the_model_obeys(attack: Attack, *, with_checker: bool) -> None:
    for given in attack.answers():
        writing = Draft(playbook(), attack.request(), all_models() if with_checker else models(), attempts=2)
        while writing.next_call() is not None:
            writing.answer(answer(given))
        candidate = writing.result(NOW)
        assert candidate.text.body
        assert violations(all_fields(candidate.text), attack.must_not) == [], candidate.text
        if candidate.generated_by == "template" and candidate.failure == "guardrail":
            said_no = {verdict.name for verdict in candidate.verdicts if not verdict.passed}
            assert said_no - _FORM or attack.kind in ("long", "json"), said_no


@each_attack
def test_an_answer_that_obeys_would_break_the_same_checks_without_guardrails(attack: Attack) -> None:
    for given in attack.answers():
        parsed = answer_parsing.parse(given, playbook().channels[attack.channel].fields)
        if isinstance(parsed, str):
            assert attack.kind in ("json", "roles"), parsed
        # Their links are in fields that nobody asked for, and in a second object: parsing alone drops both.
        elif attack.id not in ("json-2", "json-7"):
            assert violations(all_fields(parsed), attack.must_not), parsed


@each_attack
def test_a_harmless_answer_to_an_attacked_request_is_accepted(attack: Attack) -> None:
    request = request_with(attack.language, attack.where, attack.payload * attack.times, attack.key)
    checked = check(harmless(attack.language), request, playbook(), models())
    # A name that is none, but harmless, may be missed in the text.
    assert [verdict for verdict in checked if not verdict.passed and verdict.name != "relevance"] == []


@pytest.mark.parametrize("folder", [SMART_DEVICES, REES46], ids=lambda path: path.name)
@pytest.mark.parametrize("attack", [one for one in ATTACKS if one.where in IN_PRODUCT], ids=lambda attack: attack.id)
def test_a_template_with_the_payload_as_product_is_clean(attack: Attack, folder: Path) -> None:
    known = playbook(folder)
    product = attack.request().product
    for group in [group.id for group in known.audiences.target_groups]:
        for channel in ("push", "email"):
            text, version = template_text(known, CAMPAIGN, attack.language, group, channel, product)
            assert version
            assert violations(all_fields(text), attack.must_not) == [], text
            assert (
                violations(all_fields(text), ["link", "html", "contact", "invisible", "mixed_script", "insult"]) == []
            ), text


def test_few_harmless_look_alikes_cost_a_text_its_way() -> None:
    assert len(LOOKALIKES) >= 40
    lost = {}
    for one in LOOKALIKES:
        writing = Draft(playbook(), request_with(one.language, one.where, one.value, one.key), models(), attempts=1)
        writing.next_call()
        text = harmless(one.language)
        writing.answer(answer(f'{{"title": "{text.title}", "body": "{text.body}"}}'))
        if writing.result(NOW).generated_by != "llm":
            lost[one.id] = writing.rejections
    assert len(lost) <= 0.1 * len(LOOKALIKES), lost


def test_most_harmless_names_are_kept() -> None:
    named = [one for one in LOOKALIKES if one.where in ("product_name", "brand")]
    dropped = []
    for one in named:
        words = product_words(playbook(), one.language, request_with(one.language, one.where, one.value).product)
        if not (words.name if one.where == "product_name" else words.brand):
            dropped.append(one.id)
    assert len(dropped) <= 0.25 * len(named), dropped
