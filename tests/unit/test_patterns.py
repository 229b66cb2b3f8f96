"""An arranged pattern says yes to exactly the texts that the pattern says yes to."""

from __future__ import annotations

import random
import re

import pytest

from workers.core.guardrails.patterns import alternatives, arranged

PATTERNS = [
    r"\bcash\b|\bcoupon|now|\bnever",
    r"(?:no|(?:on|off) sale)|\b(?:sale|safe)s?\b|s+o|心|心情",
    r"(?<!feel )free\b|(?<!feel )fr(?:om|ee) us|f?ree|a*b|ab+",
    r"[|)]x|\|y|\(z|a(?:b|c)|(?:a)(?:b)|ac(?!c)",
    r"",
]
PIECES = [
    "cash",
    "coupon",
    "now",
    "never",
    "no",
    "on",
    "off",
    " ",
    "sale",
    "safe",
    "s",
    "o",
    "心",
    "心情",
    "feel ",
    "free",
]
PIECES += ["from us", "ree", "a", "b", "c", "|", ")", "(", "x", "y", "z"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_it_matches_where_the_pattern_does(pattern: str) -> None:
    draw = random.Random(7)
    before, after, hits = re.compile(pattern), re.compile(arranged(pattern)), 0
    for _ in range(3000):
        text = "".join(draw.choices(PIECES, k=draw.randint(1, 6)))
        found, expected = after.search(text), before.search(text)
        assert (found is None) == (expected is None), text
        assert found is None or expected is None or found.start() == expected.start(), text
        hits += found is not None
    assert hits >= 50


def test_alternatives_of_groups_and_classes_are_left_together() -> None:
    assert alternatives(r"a(?:b|c)|[|]d\||心") == ["a(?:b|c)", "[|]d\\|", "心"]
    assert arranged(r"(?:a|b)|(?:c)(?:d)") == r"a|b|(?:c)(?:d)"


def test_what_begins_alike_is_tried_once() -> None:
    assert arranged(r"\bcash\b|\bcoupon|now|\bnever") == r"\b(?:c(?:ash\b|oupon)|never)|now"
