"""Reads the corpus of the claim checker: sentences about products, labelled by what they state of the product's facts.

One file a trade, `corpora/claims/<trade>.jsonl`, written by hand in Chinese and English, each language for itself: first the
products with their facts, then the sentences. The trades of tests/labelled/gate are not among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

import msgspec

from workers.core.errors import Misconfigured

FOLDER = Path(__file__).parent / "corpora" / "claims"
#: From harmless to worst; a sentence has the label of its worst clause.
Label = Literal["none", "supported", "unsupported", "contradicted"]
LABELS: tuple[str, ...] = get_args(Label)


class Product(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A product as its page describes it. `name`, `category` and `facts` are by language; facts are in the same order in each."""

    product: str
    name: dict[str, str]
    category: dict[str, str]
    facts: dict[str, list[str]]


class Sentence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One sentence. `facts`: indexes of the facts that it uses or violates, from 0. `kind`: in which way.

    `message`: the message that it belongs to, whose sentences follow each other; "" = it stands alone.
    """

    product: str
    lang: str
    message: str = ""
    text: str
    label: Label
    facts: list[int]
    kind: str


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A sentence with its product and trade."""

    trade: str
    product: Product
    sentence: Sentence

    @property
    def facts(self) -> list[str]:
        """All facts of the product in the language of the sentence."""
        return self.product.facts[self.sentence.lang]


_Line = dict[str, object]


def trades(folder: Path = FOLDER) -> list[str]:
    """Returns the trades in alphabetical order."""
    return sorted(path.stem for path in folder.glob("*.jsonl"))


def read(trade: str, folder: Path = FOLDER) -> list[Example]:
    """Returns the examples of one trade in the file's order. Raises Misconfigured naming the first bad line."""
    path = folder / f"{trade}.jsonl"
    products: dict[str, Product] = {}
    examples = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            found = _parsed(line)
            if isinstance(found, Product):
                _check_product(found)
                products[found.product] = found
                continue
            product = products.get(found.product)
            if product is None:
                raise msgspec.ValidationError(f"the product {found.product} is not described above")
            _check_sentence(found, product)
        except msgspec.DecodeError as error:
            raise Misconfigured(f"{path}, line {number}: {error}.", "correct the line") from error
        examples.append(Example(trade=trade, product=product, sentence=found))
    return examples


def read_all(folder: Path = FOLDER) -> Iterator[Example]:
    """Yields the examples of all trades."""
    for trade in trades(folder):
        yield from read(trade, folder)


def _parsed(line: bytes) -> Product | Sentence:
    raw = msgspec.json.decode(line, type=_Line)
    return msgspec.convert(raw, Sentence) if "text" in raw else msgspec.convert(raw, Product)


def _check_product(product: Product) -> None:
    """Raises msgspec.ValidationError if the languages do not have the same facts."""
    if len({len(facts) for facts in product.facts.values()}) != 1 or product.facts.keys() != product.name.keys():
        raise msgspec.ValidationError(f"{product.product}: each language needs a name and as many facts as the others")


def _check_sentence(sentence: Sentence, product: Product) -> None:
    """Raises msgspec.ValidationError if the sentence does not fit its product."""
    if sentence.lang not in product.facts:
        raise msgspec.ValidationError(f"{product.product} has no facts in {sentence.lang}")
    if any(not 0 <= index < len(product.facts[sentence.lang]) for index in sentence.facts):
        raise msgspec.ValidationError(f"{product.product} has no such fact: {sentence.facts}")
    if sentence.label in ("supported", "contradicted") and not sentence.facts:
        raise msgspec.ValidationError(f"{sentence.label} needs the facts that it uses")
