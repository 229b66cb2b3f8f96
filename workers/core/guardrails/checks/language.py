"""Rejects a text that is not in the requested language."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

from workers.core.guardrails.grounding.subject import Subject
from workers.core.guardrails.grounding.words import latin, neutral_words

#: Text → primary language tag; None = not sure. Built once by the adapter (adapters.llm.language_detector).
Language = Callable[[str], str | None]

_MIN_HAN_SHARE = 0.6
#: Two languages share at most a third of their frequent words.
_PLAIN_SHARE = 0.8
#: Below this length only the script is checked [characters].
_DETECTABLE_LATIN, _DETECTABLE_HAN = 40, 12
_LATIN = re.compile(r"[A-Za-z]+")
_OTHER_WORD = re.compile(r"[^\W\d_A-Za-z\u00c0-\u024f\u3400-\u9fff]+")
_SCRIPTS = {"CJK": "Han", "LATIN": "Latin"}


def language(subject: Subject, detect: Language | None) -> str | None:
    """Checks the script by its share of characters (Han for zh, Latin otherwise), then runs the detector on the whole text.

    Words of the product's own data may be in any language; for short texts only the script is checked.
    """
    requested = subject.about.language
    for name, line in subject.lines.items():
        if wrong := _script(line, requested, subject.grounds):
            return f"{name} is not in {requested}: {wrong}"
    if detect is None:
        return None
    known = _own_words(subject.grounds)
    if _is_plain([word for word in latin(subject.text) if word not in known], requested):
        return None
    text = " ".join(word for word in subject.cased.split() if word.strip(".,:;!?").casefold() not in known)
    if len(text) < (_DETECTABLE_HAN if requested == "zh" else _DETECTABLE_LATIN):
        return None
    detected = detect(text)
    return f"it is in {detected}, not in {requested}" if detected not in (None, requested) else None


@lru_cache(maxsize=1024)  # many texts are about the same product
def _own_words(grounds: str) -> frozenset[str]:
    return frozenset((*_LATIN.findall(grounds), *grounds.split()))


def _is_plain(words: list[str], requested: str) -> bool:
    """Returns whether nearly all Latin words of a text are in the language's lexicon, so that detection can be skipped."""
    known = neutral_words(requested)
    return len(words) > 0 and sum(map(known.covers, words)) >= _PLAIN_SHARE * len(words)


def _script(text: str, requested: str, grounds: str) -> str | None:
    if requested != "zh" and text.isascii():
        return None
    if strange := set(_OTHER_WORD.findall(text.casefold())).difference(_OTHER_WORD.findall(grounds)):
        return f'"{min(strange)}" is in another script'
    han = latin = 0
    for character in text:
        if not character.isalpha() or character.casefold() in grounds:
            # A letter from the product's own data never counts against the text, but still counts for it.
            han += _is_han(character)
            continue
        script = unicodedata.name(character, "").split(" ")[0]
        if script not in _SCRIPTS:
            return f'"{character}" is in another script'
        if script == "CJK":
            if requested != "zh":
                return f'"{character}" is Chinese'
            han += 1
    if requested != "zh":
        return None
    latin = sum(len(word) for word in _LATIN.findall(text) if word.casefold() not in grounds)
    return "mostly Latin letters" if han < _MIN_HAN_SHARE * (han + latin) or han == 0 else None


def _is_han(character: str) -> bool:
    return "\u3400" <= character <= "\u9fff"
