r"""Counts the segments of an SMS: encodings of 3GPP TS 23.038, concatenation of 3GPP TS 23.040.

A text in the GSM 7-bit alphabet has 160 septets in one segment, 153 in each of several; a character of its extension table
takes two. Any other character makes the whole text UCS-2: 70 or 67 UTF-16 code units, of which an emoji takes two. A character
of two units is never split between segments. National language tables are not used: not every phone and gateway supports them.

>>> measure("Your cart is saved.")
Size(encoding='GSM 7-bit', units=19, segments=1)
>>> measure("€").units, measure("👍").units
(2, 2)
>>> measure("好" * 71)
Size(encoding='UCS-2', units=71, segments=2)
"""

from __future__ import annotations

from typing import Literal

import msgspec

Encoding = Literal["GSM 7-bit", "UCS-2"]

#: TS 23.038, 6.2.1: the basic table without its escape (0x1B).
BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
#: TS 23.038, 6.2.1.1: the extension table; each character is an escape and a septet.
EXTENSION = frozenset("\f^{}\\[~]|€")
_SINGLE: dict[Encoding, int] = {"GSM 7-bit": 160, "UCS-2": 70}
_CONCATENATED: dict[Encoding, int] = {"GSM 7-bit": 153, "UCS-2": 67}


class Size(msgspec.Struct, frozen=True):
    """`units` are septets or UTF-16 code units. The empty text has no segments."""

    encoding: Encoding
    units: int
    segments: int


def measure(text: str) -> Size:
    """Returns the size of a text as transmitted."""
    encoding: Encoding = "UCS-2" if outside(text) else "GSM 7-bit"
    taken = units(text, encoding)
    if taken <= _SINGLE[encoding]:
        return Size(encoding, taken, min(taken, 1))
    segments, left = 1, _CONCATENATED[encoding]
    for character in text:
        width = _width(character, encoding)
        if width > left:
            segments, left = segments + 1, _CONCATENATED[encoding]
        left -= width
    return Size(encoding, taken, segments)


def units(text: str, encoding: Encoding) -> int:
    """Returns the number of septets or UTF-16 code units of a text.

    >>> units("€", "GSM 7-bit"), units("€", "UCS-2")
    (2, 1)
    """
    return sum(_width(character, encoding) for character in text)


def outside(text: str) -> list[str]:
    """Returns the characters outside the GSM 7-bit alphabet, each once: they make a text UCS-2.

    >>> outside("Don’t wait… don’t")
    ['’', '…']
    """
    return [character for character in dict.fromkeys(text) if character not in BASIC and character not in EXTENSION]


def capacity(segments: int, encoding: Encoding) -> int:
    """Returns how many units fit.

    >>> capacity(1, "UCS-2"), capacity(2, "GSM 7-bit")
    (70, 306)
    """
    return _SINGLE[encoding] if segments == 1 else segments * _CONCATENATED[encoding]


def _width(character: str, encoding: Encoding) -> int:
    wide = ord(character) > 0xFFFF if encoding == "UCS-2" else character in EXTENSION
    return 2 if wide else 1
