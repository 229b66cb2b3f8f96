"""Normalises a text for comparison: one form for letters, apostrophes, hyphens and amounts."""

from __future__ import annotations

import re
import unicodedata

from workers.core.text.money import plain_amounts

#: Variants of ' and - that keyboards, languages and models produce.
_VARIANTS = str.maketrans(dict.fromkeys("’ʼ‛ʹ", "'") | dict.fromkeys("‐‑", "-"))
_BETWEEN_HAN = re.compile(r"(?<=[\u3400-\u9fff])\s+(?=[\u3400-\u9fff])")


def normalised(text: str) -> str:
    """Applies NFKC, drops spaces between Chinese characters (最 佳 hides nothing), unifies apostrophes and hyphens, and makes
    amounts plain.

    >>> normalised("最 佳 ＦＲＥＥ"), normalised("it\u02bcs a 7\u2011day band"), normalised("1\u202f299,90\u00a0€")
    ('最佳 FREE', "it's a 7-day band", '1299.90 €')
    """
    if not text.isascii():
        text = _BETWEEN_HAN.sub("", unicodedata.normalize("NFKC", text)).translate(_VARIANTS)
    return plain_amounts(text)
