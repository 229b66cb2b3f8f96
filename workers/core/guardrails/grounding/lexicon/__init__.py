"""The package's lexicon: neutral words, claiming words, deeds, and synonyms for facts.

The words are in text files in this folder, one per kind and language; the head of each file describes its format.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

import msgspec


class Lexicon(msgspec.Struct, frozen=True, kw_only=True):
    """The words of one language, case-folded. An entry may have several words. All fields are empty for an unknown language.

    `never`: forms that must not be reduced to a neutral word by their ending. `claiming`: words that claim, Chinese characters
    included. `deeds`: actions that copy may attribute to a product. `synonyms`: (triggers, words): the words allowed for a
    product whose own data contains one of the triggers.
    """

    neutral: frozenset[str]
    never: frozenset[str]
    claiming: frozenset[str]
    deeds: frozenset[str]
    synonyms: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]

    def other_words(self, own: str) -> list[str]:
        """Returns every word allowed by synonyms of the product's own data (case-folded)."""
        return [
            word for triggers, words in self.synonyms if any(trigger in own for trigger in triggers) for word in words
        ]


@cache
def lexicon(language: str) -> Lexicon:
    """Returns the lexicon of a language (`en`, `zh`), read once."""
    neutral, claiming, deeds = (
        frozenset(entry for line in _lines(kind, language) for entry in _entries(line, language))
        for kind in ("neutral", "claims", "deeds")
    )
    synonyms = []
    for line in _lines("facts", language):
        triggers, _, words = line.replace("：", ":").partition(":")
        synonyms.append((tuple(_entries(triggers, language)), tuple(_entries(words, language))))
    return Lexicon(
        neutral=frozenset(entry for entry in neutral if not entry.startswith("-")),
        never=frozenset(entry[1:] for entry in neutral if entry.startswith("-")),
        claiming=claiming,
        deeds=deeds,
        synonyms=tuple(synonyms),
    )


@cache
def grammar(language: str) -> dict[str, frozenset[str]]:
    """Returns word classes by name, read once; {} = the package has none for the language."""
    classes = (line.partition(":") for line in _lines("grammar", language))
    return {name: frozenset(_entries(words, language)) for name, _, words in classes}


def _entries(line: str, language: str) -> list[str]:
    """Splits at spaces in Chinese, at commas elsewhere; an empty line is one empty entry."""
    return (line.split() or [""]) if language == "zh" else [entry.strip() for entry in line.split(",")]


def _lines(kind: str, language: str) -> list[str]:
    """Returns the lines of a file without comments and empty lines, case-folded; [] = there is no such file."""
    file = resources.files(__name__) / f"{kind}.{language}.txt"
    if not file.is_file():
        return []
    text = file.read_text("utf-8").casefold()
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
