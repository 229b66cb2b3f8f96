"""Puts the facts of a product and the sentences of a text into one input of the claim checker.

    <s> product's name and category </s> fact </s> fact ... </s> </s> sentence </s> sentence ... </s>

All sentences of a text are read together: each is judged with what stands before and behind it, in one pass.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from tokenizers import Tokenizer

from workers.core.errors import Misconfigured

#: Longest input [tokens]: the model knows no further positions.
LONGEST = 512
_LONGEST_PART = 96


class Encoded(msgspec.Struct, frozen=True, kw_only=True):
    """`ids`: the tokens. A span is (begin, end) in `ids`; the first of `facts` is the product's name and category.

    What does not fit into LONGEST is left out: `sentences` may be shorter than what was asked for.
    """

    ids: list[int]
    facts: list[tuple[int, int]]
    sentences: list[tuple[int, int]]


def encode(tokenizer: Tokenizer, facts: Sequence[str], sentences: Sequence[str]) -> Encoded:
    """Encodes one text. `facts` begin with the product's name and category. A part is cut after 96 tokens."""
    ids, end = [_id(tokenizer, "<s>")], _id(tokenizer, "</s>")
    fact_spans = _append(tokenizer, ids, facts, end, LONGEST // 2)
    ids.append(end)
    sentence_spans = _append(tokenizer, ids, sentences, end, LONGEST)
    return Encoded(ids=ids, facts=fact_spans, sentences=sentence_spans)


def _id(tokenizer: Tokenizer, piece: str) -> int:
    found = tokenizer.token_to_id(piece)
    if found is None:
        raise Misconfigured(f"the tokenizer of the claim checker has no {piece}.", "install it again: it is damaged")
    return found


def _append(
    tokenizer: Tokenizer, ids: list[int], parts: Sequence[str], end: int, longest: int
) -> list[tuple[int, int]]:
    spans = []
    for encoding in tokenizer.encode_batch(list(parts), add_special_tokens=False):
        piece_ids = encoding.ids[:_LONGEST_PART] or [end]
        if len(ids) + len(piece_ids) + 2 > longest:
            break
        spans.append((len(ids), len(ids) + len(piece_ids)))
        ids += [*piece_ids, end]
    return spans
