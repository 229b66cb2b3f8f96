"""Splits copy into sentences, Chinese and English."""

from __future__ import annotations

import re

#: Where a sentence ends: behind its full stop, question or exclamation mark and what closes it, or at a line's end. A full stop
#: inside a number or before a small letter ("2.5 kg", "e.g. at home") ends nothing.
_END = re.compile(r"(?<=[。！？；!?…])[\"'”’」』)）]*|(?<=\.)[\"'”’)]*(?=\s+[^a-z\s])|\n+")
_SAYS_SOMETHING = re.compile(r"\w")


def sentences(text: str) -> list[str]:
    """Returns the sentences in their order, stripped; pieces without a letter or digit are left out.

    >>> sentences("Rain again? It weighs 2.5 kg. 真的很轻！带上它吧。")
    ['Rain again?', 'It weighs 2.5 kg.', '真的很轻！', '带上它吧。']
    """
    found, begin = [], 0
    for end in _END.finditer(text):
        found.append(text[begin : end.end()])
        begin = end.end()
    found.append(text[begin:])
    return [sentence.strip() for sentence in found if _SAYS_SOMETHING.search(sentence)]
