"""The corpus of the claim checker: balanced, without repetitions, apart from the held-out trades; a bad line is named."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.support import gate_texts
from workers.core.errors import Misconfigured
from workers.training.claims_corpus import LABELS, read, read_all, trades

PRODUCT = {"product": "mug", "name": {"en": "Mug"}, "category": {"en": "mugs"}, "facts": {"en": ["holds 300 ml"]}}
SENTENCE = {
    "product": "mug",
    "lang": "en",
    "text": "It holds 300 ml.",
    "label": "supported",
    "facts": [0],
    "kind": "paraphrase",
}


@pytest.mark.parametrize("trade", trades())
def test_each_trade_has_six_products_in_both_languages_and_all_labels(trade: str) -> None:
    examples = read(trade)
    assert len({example.product.product for example in examples}) == 6
    counts = Counter((example.sentence.lang, example.sentence.label) for example in examples)
    assert set(counts) == {(lang, label) for lang in ("en", "zh") for label in LABELS}
    assert min(counts.values()) >= 10


def test_no_sentence_that_claims_something_occurs_twice() -> None:
    counts = Counter(example.sentence.text for example in read_all() if example.sentence.label != "none")
    assert [text for text, times in counts.items() if times > 1] == []


def test_a_message_has_several_sentences() -> None:
    counts = Counter((example.trade, example.sentence.message) for example in read_all() if example.sentence.message)
    assert min(counts.values()) >= 2


def test_nothing_of_the_held_out_trades_is_in_it() -> None:
    held_out = {product for trade in gate_texts.TRADES for product in gate_texts.products(trade)}
    assert set(gate_texts.TRADES).isdisjoint(trades())
    assert held_out.isdisjoint(example.product.product for example in read_all())


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([PRODUCT, SENTENCE | {"label": "true"}], "line 2"),
        ([PRODUCT, SENTENCE | {"facts": [1]}], r"line 2: mug has no such fact: \[1\]"),
        ([PRODUCT, SENTENCE | {"facts": []}], "line 2: supported needs the facts"),
        ([PRODUCT, SENTENCE | {"lang": "zh"}], "line 2: mug has no facts in zh"),
        ([SENTENCE], "line 1: the product mug is not described above"),
        ([PRODUCT | {"facts": {"en": ["a"], "zh": []}}], "line 1: mug: each language needs a name"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, lines: list[dict[str, object]], message: str) -> None:
    (tmp_path / "mugs.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(Misconfigured, match=message):
        read("mugs", tmp_path)


def test_a_good_file_is_read_in_its_order(tmp_path: Path) -> None:
    (tmp_path / "mugs.jsonl").write_text("\n".join(map(json.dumps, [PRODUCT, SENTENCE])))
    (example,) = read("mugs", tmp_path)
    assert (example.trade, example.facts, example.sentence.text) == ("mugs", ["holds 300 ml"], "It holds 300 ml.")
