"""Sanitises external text: one short line without invisible characters, markup or disguised letters."""

from __future__ import annotations

import re
import unicodedata

#: Blank or invisible characters, whatever their Unicode category: fillers, variation selectors, joiners of marks.
INVISIBLE_CHARACTERS = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)
_INVISIBLE = ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp", "Me")
_NOT_IN_NAMES = re.compile(r"[{}<>\[\]|`*_#~\\^=\"“”$%@‹›«»⟨⟩〈〉⟪⟫≪≫⋘⋙]")
_MARK = r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]"
#: Combining marks that do not compose with their letter: some languages need one of them, none needs a second.
_FLOOD = re.compile(rf"({_MARK}){_MARK}+")
#: Limit of the input that is processed [characters per character kept]; the rest is dropped.
INPUT_FACTOR = 20


def visible(text: str) -> str:
    """Returns the visible part of a text in plain letters: ｆｕｌｌ, 𝐛𝐨𝐥𝐝 and ⓒⓘⓡⓒⓛⓔⓓ become ordinary ones.

    >>> visible("ｆｒ𝐞ⓔ\\u200b now\\n")
    'free now '
    """
    if text.isascii() and text.isprintable():
        return text
    return unicodedata.normalize("NFC", "".join(map(_plain, text)))


def clean(text: str, max_chars: int) -> str:
    """Returns one line without control, invisible or markup characters, at most `max_chars` (cut at a word if possible).

    >>> clean("Sma\\u202ert {{ x }} <b>Band</b>\\n", 60)
    'Smart x b Band /b'
    """
    seen = visible(text[: max_chars * INPUT_FACTOR])
    words = _FLOOD.sub(r"\1", " ".join(_NOT_IN_NAMES.sub(" ", seen).split()))
    if len(words) <= max_chars:
        return words
    cut = words[: max_chars + 1].rpartition(" ")[0]
    return (cut or words[:max_chars]).rstrip(" ,.;:-/(")


def _plain(character: str) -> str:
    if character.isspace():
        return " "
    category = unicodedata.category(character)
    if category in _INVISIBLE or character in INVISIBLE_CHARACTERS:
        return ""
    if character.isascii() or not unicodedata.decomposition(character).startswith("<"):
        return character
    plain = unicodedata.normalize("NFKC", character)
    styled = category[0] in "LN" or "\u2460" <= character <= "\u24ff" or _NOT_IN_NAMES.search(plain)
    return plain if styled else character
