"""A screened table finds what its patterns find: nothing is overlooked because a word was thought to be needed."""

from __future__ import annotations

import importlib
import pkgutil
import random
import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.core import guardrails
from workers.core.guardrails import packs
from workers.core.guardrails.grounding.concepts import Concepts
from workers.core.guardrails.matching.alternatives import alternatives, letter_first
from workers.core.guardrails.matching.pattern_table import PatternTable
from workers.core.guardrails.matching.required_literals import _digits, also_required, folded, required_literals


def screens() -> Iterator[tuple[str, PatternTable]]:
    """Every screen of the product, by module and name."""
    for module in pkgutil.walk_packages(guardrails.__path__, f"{guardrails.__name__}."):
        for name, value in vars(importlib.import_module(module.name)).items():
            screen = value._screen if isinstance(value, Concepts) else value
            if isinstance(screen, PatternTable):
                yield f"{module.name}.{name}", screen
    for pack in packs.PACKS:
        yield pack, packs._rules((pack,))[1]


SCREENS = dict(screens())
TABLES = {name: (screen._parts.table, screen) for name, screen in SCREENS.items() if screen._parts.table}


def test_every_table_is_screened() -> None:
    assert len(TABLES) >= 15
    assert sum(len(table) for table, _ in TABLES.values()) > 900


def test_few_alternatives_must_always_be_tried() -> None:
    always = [table[number][1] for table, screen in TABLES.values() for number in screen._parts.always]
    assert len(always) < 30, always


@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_what_an_alternative_matches_is_found(name: str, data: st.DataObject) -> None:
    table, screen = TABLES[name]
    place, source = data.draw(st.sampled_from(table))
    pattern = re.compile(source, screen._flags)
    # Lookarounds may say no to what was made for the rest of the pattern: then there is nothing to find.
    text = data.draw(st.from_regex(pattern)) + data.draw(st.sampled_from(["", " now", "。"]))
    if pattern.search(text):
        assert screen._names[place] in dict(screen.found(text))


@pytest.mark.parametrize("name", TABLES)
def test_it_finds_what_the_patterns_find_and_where(name: str) -> None:
    table, screen = TABLES[name]
    words = [word.lstrip("\b") for _, source in table for word in sorted(required_literals(source, screen._flags))[:8]]
    words += [word for _, source in table for word in sorted(also_required(source, screen._flags))]
    words += [" ", " you ", "不", "7", "’s ", "\n"] * (len(words) // 6)
    whole = [(name, re.compile(p, screen._flags)) for name, p in zip(screen._names, screen._patterns, strict=True)]
    draw, hits = random.Random(name), 0
    for _ in range(200):
        text = "".join(draw.choices(words, k=draw.randint(1, 12)))
        expected = [(name, found.start()) for name, pattern in whole if (found := pattern.search(text))]
        assert [(name, found.start()) for name, found in screen.found(text)] == expected, text
        hits += len(expected)
    assert hits


def test_alternatives_of_groups_and_classes_are_left_together() -> None:
    assert alternatives(r"a(?:b|c)|[|]d\||心") == ["a(?:b|c)", "[|]d\\|", "心"]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"\bcash\b", {"\bcash"}),
        (r"\b(?:cash|%off|\d)", {"\bcash", "%off", *(f"\b{digit}" for digit in _digits())}),
        (r"(?<![a-z])(?!cashier)(?:(?:a )?cash|gold\b)", {"cash", "\bgold"}),
        (r"(?<!\w)(?=gold)\w+|(?<=gold)\w+|^gold|(?<!-)gold|(?<![^a-z])gold", {"\bgold", "gold"}),
        (r"(?:best|top)[- ]rated", {"rated"}),
        (r"(?:ab|c(?:de|fg))h?", {"ab", "cde", "cfg"}),
        (r"free(?! from)|无(?:敌|比)", {"free", "无敌", "无比"}),
        (r"\.(?:com?|net|[xz]yz)", {".co", ".net", ".xyz", ".zyz"}),
        (r"makes? you (?:run|sleep(?:ier)?)|(?:let|make) it", {" you run", " you sleep", "let", "make"}),
        (r"(?:makes?|lets?) you\b", {"make", "let"}),
        (r"(?:now)?x*", set()),
        (r"(?:a|soon)", set()),
        (r"(?:ab){2,}[^c]\w|x{3,}", {"abab", "xxx"}),
        (r"(?=\w*deal)\w{14,}", {"deal"}),
        (r"(?:STRASSE)|Straße", {"strasse"}),
        (r"[+@]", {"+", "@"}),
        (r"[^+@]", set()),
    ],
)
def test_the_words_that_are_needed(pattern: str, words: set[str]) -> None:
    assert required_literals(pattern) == words


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"(?<![a-z])(?:sleep|rest)s? (?:well|deeply)", {"sleep", "rest"}),
        (r"\bno (?:\w+ )?(?:noise|sound)s?\b", {"no "}),
        (r"(?:sleep|rest)(?! well)", set()),
        (r"(?:cash|gold) \w+", set()),
        (rf"cash now (?:{'|'.join('abcdefghijklm'[n] * 3 for n in range(13))})", set()),
    ],
)
def test_the_words_that_are_needed_besides(pattern: str, words: set[str]) -> None:
    assert also_required(pattern) == words


def test_what_lacks_the_words_that_are_needed_besides_is_not_tried() -> None:
    screen = PatternTable.of(r"\b(?:sleep|rest)s? (?:well|deeply)|now")
    assert [screen._tried(text) for text in ("it rests", "it rests well", "well")] == [[], [0], []]


@pytest.mark.parametrize(
    ("alternative", "rewritten"),
    [
        (r"(?<![a-z])\bcoupons?", r"c(?<=(?<![a-z])\bc)oupons?"),
        (r"\bx{3,}", r"\bx{3,}"),
        (r"\bcash", r"c(?<=\bc)ash"),
        (r"\ba? b", r"\ba? b"),
        (r"(?<!\w)(?:a|b)", r"(?<!\w)(?:a|b)"),
        (r"cash", r"cash"),
    ],
)
def test_a_letter_is_put_before_what_must_not_stand_there(alternative: str, rewritten: str) -> None:
    assert letter_first(alternative) == rewritten


@pytest.mark.parametrize(
    ("text", "is_tried"),
    [("a glance", False), ("An anc", True), ("ß anc", True), ("ßanc", True), ("Xanc", True), ("3anc", True)],
)
def test_a_word_within_another_does_not_count(text: str, is_tried: bool) -> None:
    """Where nobody can tell (folded text is longer, other letters before it), it is tried."""
    assert PatternTable.of(r"\banc\b|now")._tried(text) == [0] * is_tried


def test_digits_of_all_scripts_are_digits() -> None:
    assert "٣" in required_literals(r"\d\d")
    assert PatternTable.of(r"\d{3}").search("٣٣٣")


def test_letters_are_the_same_where_ignoring_case_takes_them_for_the_same() -> None:
    cased = [
        letter for letter in map(chr, range(0x2000)) if {letter.lower(), letter.upper(), letter.casefold()} != {letter}
    ]
    assert len(cased) > 1000
    for letter in cased:
        for same in re.findall(re.escape(letter), "".join(cased), re.IGNORECASE):
            assert folded(letter) == folded(same)
    assert PatternTable.of("visit", re.IGNORECASE).search("VİSıT")


def test_what_matches_is_blanked() -> None:
    screen = PatternTable.of("half price|price cut|cut")
    assert screen.without("a half price cut, so") == "a               , so"
    assert screen.without("nothing") == "nothing"


def test_an_empty_table_finds_nothing() -> None:
    assert PatternTable({}).first("anything") is None
