"""Cuts the base encoder's vocabulary of a hundred languages down to what Chinese and English texts need."""

from __future__ import annotations

import numpy as np
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import Unigram

from workers.training.base_encoder import BaseEncoder, Floats

BEGIN, PAD, END, UNKNOWN = "<s>", "<pad>", "</s>", "<unk>"
_SPECIAL = (BEGIN, PAD, END, UNKNOWN)
#: Frequent pieces to keep of each script. All characters of their own are kept too, so that no word is unknown.
LATIN, CHINESE = 22_000, 14_000


def cut(base: BaseEncoder, latin: int = LATIN, chinese: int = CHINESE) -> tuple[Tokenizer, Floats]:
    """Returns the tokenizer and the rows of `emb.word` that it uses. The rows are not normalised."""
    kept = [base_id for base_id, (text, _) in enumerate(base.pieces) if text in _SPECIAL]
    left = {"latin": latin, "chinese": chinese}
    # the pieces are ordered by frequency
    for base_id, (text, _) in enumerate(base.pieces):
        script = _script(text.removeprefix("▁"))
        if text in _SPECIAL or script is None:
            continue
        if len(text.removeprefix("▁")) <= 1:
            kept.append(base_id)
        elif left[script] > 0:
            left[script] -= 1
            kept.append(base_id)
    vocabulary = [base.pieces[base_id] for base_id in kept]
    rows = np.ascontiguousarray(base.tensors["emb.word"][kept])
    tokenizer = Tokenizer(
        Unigram(vocabulary, unk_id=[text for text, _ in vocabulary].index(UNKNOWN), byte_fallback=False)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("  ", " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    return tokenizer, rows


def _script(text: str) -> str | None:
    """`latin` for basic Latin, digits, punctuation and signs; `chinese` for CJK; None for other scripts."""
    if all(character.isascii() or character in "–—’‘“”…°€£¥×²³µ®™éèêàçöüäñ" for character in text):
        return "latin"
    if all(
        "\u4e00" <= character <= "\u9fff"
        or "\u3000" <= character <= "\u303f"
        or "\uff00" <= character <= "\uffef"
        or character in "·“”‘’…—×"
        for character in text
    ):
        return "chinese"
    return None
