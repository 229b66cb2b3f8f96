"""The labelled claims are a sound set to measure on: balanced, unique, and about products that the playbook sells."""

from __future__ import annotations

import re
from collections import Counter
from itertools import product as pairs
from pathlib import Path
from typing import Literal

import msgspec
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MIN_PER_CELL = 85
MAIN_PRODUCTS = {"smart-band", "wireless-earphones"}
NEVER_FALSE = {"scene", "paraphrase"}
# The playbook states nothing of these kinds.
NEVER_GROUNDED = {
    "approval",
    "comparison",
    "date",
    "delivery",
    "exaggeration",
    "offer",
    "popularity",
    "stock",
    "warranty",
    "wrong_product",
}
HAN, LATIN_WORD = re.compile(r"[\u4e00-\u9fff]"), re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)*")
LATIN_IN_CHINESE = {"GPS", "Hi-Res"}


class Claim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One sentence and its label."""

    id: str
    product: str
    language: Literal["en", "zh"]
    text: str
    grounded: bool
    kind: Literal[
        "accessory",
        "approval",
        "comparison",
        "compatibility",
        "date",
        "delivery",
        "exaggeration",
        "feature",
        "health",
        "material",
        "number",
        "offer",
        "paraphrase",
        "popularity",
        "price",
        "scene",
        "stock",
        "unit",
        "warranty",
        "wrong_product",
    ]


@pytest.fixture(scope="module")
def claims() -> list[Claim]:
    return msgspec.yaml.decode((ROOT / "tests/labelled/claims.yaml").read_bytes(), type=list[Claim])


@pytest.fixture(scope="module")
def sold() -> set[str]:
    playbook = yaml.safe_load((ROOT / "playbooks/smart-devices/products.yaml").read_text(encoding="utf-8"))
    return {item["product_id"] for item in playbook["products"]}


def folded(text: str) -> str:
    """The text without case, spaces and punctuation."""
    return "".join(filter(str.isalnum, text.casefold()))


def test_every_language_has_enough_true_and_false_claims_in_balance(claims: list[Claim]) -> None:
    cells = Counter((claim.language, claim.grounded) for claim in claims)
    assert len(cells) == 4
    assert min(cells.values()) >= MIN_PER_CELL
    assert max(cells.values()) <= 1.1 * min(cells.values())


def test_ids_are_unique_and_tell_language_and_label(claims: list[Claim]) -> None:
    assert [claim_id for claim_id, n in Counter(claim.id for claim in claims).items() if n > 1] == []
    for claim in claims:
        label = "t" if claim.grounded else "f"
        assert re.fullmatch(rf"{claim.language}-[a-z]+-{label}-\d{{3}}", claim.id), claim.id


def test_no_text_comes_twice_even_with_other_case_and_punctuation(claims: list[Claim]) -> None:
    assert [text for text, n in Counter(folded(claim.text) for claim in claims).items() if n > 1] == []


def test_every_product_of_the_playbook_has_all_four_cells_and_no_other_product_occurs(
    claims: list[Claim], sold: set[str]
) -> None:
    cells = {(claim.product, claim.language, claim.grounded) for claim in claims}
    assert cells == set(pairs(sold, ("en", "zh"), (True, False)))


def test_the_main_products_have_the_most_claims(claims: list[Claim]) -> None:
    most = Counter(claim.product for claim in claims).most_common(len(MAIN_PRODUCTS))
    assert {name for name, _ in most} == MAIN_PRODUCTS


def test_one_short_name_in_the_ids_means_one_product(claims: list[Claim], sold: set[str]) -> None:
    names = {(claim.id.split("-")[1], claim.product) for claim in claims}
    assert len(names) == len({short for short, _ in names}) == len(sold)


def test_kinds_fit_the_label(claims: list[Claim]) -> None:
    for claim in claims:
        assert claim.kind not in (NEVER_GROUNDED if claim.grounded else NEVER_FALSE), claim.id


def test_texts_are_short_and_in_the_script_of_their_language(claims: list[Claim]) -> None:
    for claim in claims:
        assert claim.text == claim.text.strip(), claim.id
        assert claim.text[-1] in (".?" if claim.language == "en" else "。？"), claim.id
        if claim.language == "en":
            assert not HAN.search(claim.text), claim.id
            assert 4 <= len(claim.text.split()) <= 18, claim.id
        else:
            assert set(LATIN_WORD.findall(claim.text)) <= LATIN_IN_CHINESE, claim.id
            assert 6 <= len(HAN.findall(claim.text)) <= 30, claim.id
