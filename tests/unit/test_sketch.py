"""Sketches: how alike two texts are, without the texts."""

from __future__ import annotations

import random
import string

import pytest

from schemas.messages import MessageText
from tests.support.playbooks import playbook, request
from tests.unit.labelled_texts import push
from workers.core.guardrails.check import check
from workers.core.text.near_duplicates import closest, similarity, sketch


def test_an_empty_text_is_like_nothing() -> None:
    assert sketch("") == sketch(" ! ") == []
    assert similarity([], []) == similarity([], sketch("something")) == 0.0


def test_short_texts_are_compared_exactly() -> None:
    assert similarity(sketch("abcdef"), sketch("abcdefg")) == 2 / 3
    assert similarity(sketch("ok"), sketch("OK!")) == 1.0


def test_the_estimate_is_near_the_true_share_of_common_grams() -> None:
    draw = random.Random(7)
    for changed in (0, 40, 80, 160):
        errors = []
        for _ in range(30):
            one = [draw.choice(string.ascii_lowercase) for _ in range(400)]
            other = [*one[: 400 - changed], *(draw.choice(string.ascii_lowercase) for _ in range(changed))]
            grams = [{"".join(text[i : i + 5]) for i in range(396)} for text in (one, other)]
            true = len(grams[0] & grams[1]) / len(grams[0] | grams[1])
            errors.append(similarity(sketch("".join(one)), sketch("".join(other))) - true)
        assert abs(sum(errors) / len(errors)) < 0.06  # three and a half standard errors of a mean of 30


def test_the_closest_of_several_counts() -> None:
    before = [sketch("Your Smart Band is still in your cart."), sketch("Something else altogether.")]
    assert closest("Your Smart Band is still in your cart", before) == 1.0
    assert closest("A quiet evening, a good book.", before) < 0.2
    assert closest("anything", []) == 0.0


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        (push("Your Smart Band", "Your Smart Band with sleep tracking is still in your cart."), False),
        (push("Smart Band", "Your Smart Band, with sleep tracking, is still in your cart!"), False),
        (push("Your Smart Band", "Sleep tracking for your nights: the Smart Band you picked is waiting."), True),
    ],
)
def test_the_guardrail_stops_what_the_customer_was_told_before(text: MessageText, passes: bool) -> None:
    told = [sketch("Your Smart Band with sleep tracking is still in your cart.")]
    checked = check(text, request(), playbook(), sketches=told)
    verdict = next(one for one in checked if one.name == "duplicate")
    assert verdict.passed is passes
    assert passes or "recent" in verdict.detail
