"""The held-out texts themselves: unchanged since they were written, balanced, and fit for the guardrails to judge."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from itertools import chain

import pytest

from tests.support.gate_texts import FOLDER, TRADES, playbook_of, products, texts
from workers.core.generation.evaluation.gate_accuracy import judge
from workers.core.guardrails.models import NO_MODELS


def test_no_file_has_changed_since_it_was_written() -> None:
    lines = (line.split("  ", 1) for line in (FOLDER / "SHA256SUMS").read_text().splitlines())
    listed = {name: digest for digest, name in lines}
    found = {
        path.relative_to(FOLDER).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in FOLDER.rglob("*")
        if path.parent != FOLDER
    }
    assert found == listed


@pytest.mark.parametrize("trade", TRADES)
def test_each_trade_has_as_many_good_as_bad_texts_in_both_languages(trade: str) -> None:
    counts = Counter((text.lang, text.verdict) for text in texts(trade))
    assert set(counts) == {(lang, verdict) for lang in ("en", "zh") for verdict in ("good", "bad")}
    assert set(counts.values()) == {35}


@pytest.mark.parametrize("trade", TRADES)
def test_each_text_is_about_a_product_of_its_trade_and_has_the_fields_of_its_channel(trade: str) -> None:
    known, shop = products(trade), playbook_of(trade)
    for text in texts(trade):
        assert text.product in known, text.id
        assert set(text.fields) == set(shop.channels[text.channel].fields), text.id


@pytest.mark.parametrize("trade", TRADES)
def test_good_texts_have_the_form_that_their_channel_asks_for(trade: str) -> None:
    good = [text for text in texts(trade) if text.verdict == "good"]
    rejected = [
        f"{one.text.id}: {verdict.detail}"
        for one in judge(playbook_of(trade), good, NO_MODELS, lambda: 0.0)
        for verdict in one.rejected_by
        if verdict.name == "length"
    ]
    assert rejected == []


def test_ids_and_texts_occur_once() -> None:
    everything = list(chain.from_iterable(map(texts, TRADES)))
    assert len({text.id for text in everything}) == len(everything)
    assert len({tuple(text.fields.values()) for text in everything}) == len(everything)
