"""Words from outside as data: one short line without anything that is invisible, markup, or a letter in disguise."""

from __future__ import annotations

import re
import unicodedata

#: Blank or unseen, whatever Unicode calls them: fillers, variation selectors, joiners of marks.
UNSEEN = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)
_INVISIBLE = ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp", "Me")
_NOT_IN_NAMES = re.compile(r"[{}<>\[\]|`*_#~\\^=\"“”$%@‹›«»⟨⟩〈〉⟪⟫≪≫⋘⋙]")
_MARK = r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]"
#: What does not compose with its letter: one such mark writes some languages, a second none.
_FLOOD = re.compile(rf"({_MARK}){_MARK}+")
#: How much of a text is looked at [characters for each that is kept]; the rest is what nobody would see.
LOOKED_AT = 20


def visible(text: str) -> str:
    """What of a text can be seen, in plain letters: ｆｕｌｌ, 𝐛𝐨𝐥𝐝 and ⓒⓘⓡⓒⓛⓔⓓ are written like any other.

    >>> visible("ｆｒ𝐞ⓔ\\u200b now\\n")
    'free now '
    """
    if text.isascii() and text.isprintable():
        return text
    return unicodedata.normalize("NFC", "".join(map(_plain, text)))


def clean(text: str, max_chars: int) -> str:
    """One line without control, invisible or markup characters, at most `max_chars` (whole words where it has any).

    >>> clean("Sma\\u202ert {{ x }} <b>Band</b>\\n", 60)
    'Smart x b Band /b'
    """
    seen = visible(text[: max_chars * LOOKED_AT])
    words = _FLOOD.sub(r"\1", " ".join(_NOT_IN_NAMES.sub(" ", seen).split()))
    if len(words) <= max_chars:
        return words
    cut = words[: max_chars + 1].rpartition(" ")[0]
    return (cut or words[:max_chars]).rstrip(" ,.;:-/(")


def _plain(character: str) -> str:
    if character.isspace():
        return " "
    category = unicodedata.category(character)
    if category in _INVISIBLE or character in UNSEEN:
        return ""
    if character.isascii() or not unicodedata.decomposition(character).startswith("<"):
        return character
    plain = unicodedata.normalize("NFKC", character)
    styled = category[0] in "LN" or "\u2460" <= character <= "\u24ff" or _NOT_IN_NAMES.search(plain)
    return plain if styled else character
