"""The words of the package: those that claim nothing, those that do, and other words for a fact. Text files beside this one, one a language.

`neutral.<language>.txt`, `claims.<language>.txt` and `facts.<language>.txt` say in their heads how they are written.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

import msgspec


class Lexicon(msgspec.Struct, frozen=True, kw_only=True):
    """The words of one language, case-folded. An entry may have several words.

    `never`: forms that no ending leads to a neutral word from. `claiming`: words that claim. `synonyms`: (triggers, words): what may be said of a
    product whose own data holds one of the triggers.
    """

    neutral: frozenset[str]
    deeds: frozenset[str]
    never: frozenset[str]
    claiming: frozenset[str]
    synonyms: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]

    def other_words(self, own: str) -> list[str]:
        """Every word that the product's own data (case-folded) gives a right to."""
        return [
            word for triggers, words in self.synonyms if any(trigger in own for trigger in triggers) for word in words
        ]


@cache
def lexicon(language: str) -> Lexicon | None:
    """The lexicon of a language (`en`, `zh`), read once; None = the package has none for it."""
    folder = resources.files(__name__)
    neutral, claims, facts = (folder / f"{kind}.{language}.txt" for kind in ("neutral", "claims", "facts"))
    if not all(file.is_file() for file in (neutral, claims, facts)):
        return None
    between = re.compile(r"\s+") if language == "zh" else re.compile(r"\s*[,\n]\s*")
    entries, claiming = (
        [entry for line in _lines(file.read_text("utf-8")) for entry in between.split(line)] for file in (neutral, claims)
    )
    synonyms = []
    for line in _lines(facts.read_text("utf-8")):
        triggers, _, words = line.replace("：", ":").partition(":")
        synonyms.append((tuple(between.split(triggers.strip())), tuple(between.split(words.strip()))))
    return Lexicon(
        deeds=_entries(folder / f"deeds.{language}.txt", between),
        neutral=frozenset(entry for entry in entries if not entry.startswith("-")),
        never=frozenset(entry[1:] for entry in entries if entry.startswith("-")),
        claiming=frozenset(claiming),
        synonyms=tuple(synonyms),
    )


def _entries(file: Traversable, between: re.Pattern[str]) -> frozenset[str]:
    """Of a file that not every language has."""
    if not file.is_file():
        return frozenset()
    return frozenset(entry for line in _lines(file.read_text("utf-8")) for entry in between.split(line))


def _lines(text: str) -> list[str]:
    """Without comments and empty lines, case-folded."""
    return [line.strip() for line in text.casefold().splitlines() if line.strip() and not line.startswith("#")]
