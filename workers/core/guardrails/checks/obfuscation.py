"""Rejects disguised letters, which people can read but patterns miss. Plain copy has none, so nothing is decoded."""

from __future__ import annotations

import re
import unicodedata

from workers.core.guardrails.grounding.subject import Subject
from workers.core.text.sanitize import INVISIBLE_CHARACTERS

_USUAL = (
    r"\x00-\x7e\u00a0-\u024f\u1e00-\u1eff\u2010-\u2027\u2030-\u203a\u3001-\u303f\u3400-\u9fff\uff01-\uff0f\uff1a-\uff20"
)
_UNUSUAL = re.compile(rf"[^{_USUAL}]")
#: Phonetic letters, radicals, enclosed letters and regional indicators: they look like letters of copy but are not.
_LOOK_ALIKE = re.compile(
    r"[\u0250-\u02af\u1d00-\u1dbf\ua720-\ua7ff\u2460-\u24ff\u2e80-\u2fdf\U0001f100-\U0001f1ff]"
    r"|[\uf900-\ufaff\U0002f800-\U0002fa1f]"
)
_LATIN = r"A-Za-z\u00c0-\u024f"
_OTHER = r"\u0370-\u058f\u13a0-\u13ff\u1c80-\u1c8f\u2c00-\u2dff\ua640-\ua69f\uab70-\uabbf"
#: Allowed between two letters of different alphabets: neither alphabet, so only the closest pair matches and is tried once.
_REST = rf"[^\W_\u3400-\u9fff{_LATIN}{_OTHER}]*"
_MIXED = re.compile(rf"[{_LATIN}]{_REST}[{_OTHER}]|[{_OTHER}]{_REST}[{_LATIN}]")
_SPELLED = re.compile(r"(?<![^\W_])(?:[A-Za-z0-9](?:[^\w\n]|_){1,3}){3,}[A-Za-z0-9](?![^\W_])")
_LEET = re.compile(r"(?<![^\W_])(?=[a-z0-9$]{4})[a-z]+[0-9$]+[a-z$]+|\$[a-z]", re.IGNORECASE)
_DIGIT = re.compile(r"[0-9$]")
_EMOJI = ("So", "Sk", "Sm", "Po")


def disguise(subject: Subject) -> str | None:
    """Rejects styled letters, mixed alphabets in a word, excess combining marks, and words spelled out or in leetspeak."""
    for name, value in subject.fields.items():
        if found := disguised(value):
            return f"{name} has {found}"
        for word in _LEET.finditer(value) if _DIGIT.search(value) else ():  # most texts have none
            if word.group().casefold() not in subject.grounds:
                return f'{name} has digits or symbols in place of letters: "{word.group()}"'
    return None


def disguised(text: str) -> str | None:
    """Returns the kind of disguise that a text uses; None = it uses none."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
        for match in _UNUSUAL.finditer(text):
            character = match.group()
            before = text[match.start() - 1 : match.start()]
            if reason := _odd(character, before):
                return f"the character U+{ord(character):04X}, {reason}"
        if mixed := _MIXED.search(text):
            return f'letters of two alphabets in one word: "{mixed.group()}"'
    if spelled := _SPELLED.search(text):
        return f'a word spelled out in single letters: "{spelled.group()}"'
    return None


def _odd(character: str, before: str) -> str | None:
    category = unicodedata.category(character)
    if character == "\ufe0f" and before and unicodedata.category(before) in _EMOJI:
        return None  # makes the preceding symbol an emoji
    if category in ("Mn", "Me"):
        return "a mark without a letter"
    if character in INVISIBLE_CHARACTERS:
        return "which is invisible"
    if _LOOK_ALIKE.match(character):
        return "which only looks like a letter"
    if category[0] in "LN" and unicodedata.decomposition(character).startswith("<"):
        return "a letter or digit in another style"
    return None
