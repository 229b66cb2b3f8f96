"""The words allowed for a product in addition to the neutral ones: its own, synonyms of its facts, and the playbook's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

import msgspec

from workers.core.common.memoize import memoize_by_identity
from workers.core.guardrails.grounding.amounts import bare_words
from workers.core.guardrails.grounding.lexicon import grammar, lexicon
from workers.core.guardrails.grounding.subject import Subject
from workers.core.playbook.playbook import Playbook
from workers.core.text.normalize import normalised

#: A word in Latin letters, or a digit with letters (5g); hyphens have become spaces by then.
LATIN = re.compile(r"[^\W\d_\u3400-\u9fff][^\W_\u3400-\u9fff]*(?:'[a-z]+)?|(?<!\d)\d+[^\W\d_\u3400-\u9fff]+")
#: The same for ASCII text.
_LATIN_ASCII = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:'[a-z]+)?|(?<![0-9])[0-9]+[A-Za-z]+")
_PARTS = {"zh": re.compile(r"[^\w]+")}
_PARTS_LATIN = re.compile(r"[^\w'-]+")


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """Single words, and phrases by their first two words. In Chinese, which has no spaces, all entries are single words."""

    single: frozenset[str]
    phrases: dict[tuple[str, str], list[tuple[str, ...]]]

    def covers(self, word: str) -> bool:
        """Returns whether the word, or a word it is an inflection of, is among the single words."""
        return word in self.single or not self.single.isdisjoint(forms(word))


def own_words(subject: Subject) -> Words:
    """Returns the words that may describe this product: its data, synonyms for its facts, and the marketer's words."""
    language, playbook = subject.about.language, subject.playbook
    texts = _marketer_texts(playbook, language)
    return _own_words(language, subject.grounds, tuple(playbook.policy.neutral_words.get(language, ())), texts)


@memoize_by_identity
def _marketer_texts(playbook: Playbook, language: str) -> tuple[str, ...]:
    """Returns what the marketer writes about groups, goals and tones."""
    texts = [text for group in playbook.audiences.target_groups for text in (group.angle, group.name)]
    texts += [text for campaign in playbook.campaigns.values() for text in (campaign.goal, campaign.cta)]
    texts += [tone.hint for tone in playbook.tones.values()]
    return tuple(text.get(language, "") for text in texts)


@lru_cache(maxsize=1024)
def fact_words(language: str, grounds: str) -> Words:
    """Returns the single words of the product's own data and their synonyms, without grammar words."""
    texts = (*lexicon(language).other_words(grounds), grounds)
    fillers = grammar(language).get("fillers", frozenset())
    return _words(word for text in texts for word in latin(text) if len(word) > 2 and word not in fillers)


@lru_cache(maxsize=8)
def neutral_words(language: str) -> Words:
    """Returns the package's neutral words of the language."""
    return _words(lexicon(language).neutral)


def latin(text: str) -> list[str]:
    """Returns the words in Latin letters.

    >>> latin("a two-tone look, isn't it")
    ['a', 'two', 'tone', 'look', "isn't", 'it']
    """
    spaced = text.replace("-", " ")
    if not spaced.isascii():
        return LATIN.findall(spaced)
    words = spaced.split()
    return words if all(map(str.isalpha, words)) else _LATIN_ASCII.findall(spaced)


@lru_cache(maxsize=32768)
def forms(word: str) -> tuple[str, ...]:
    """Returns a word and the words it may be an inflection of.

    >>> forms("carries"), "record" in forms("recorded"), "run" in forms("running"), "use" in forms("using")
    (('carries', 'carrie', 'carri', 'carry'), True, True, True)
    """
    found = [word]
    if word.endswith("'s"):
        word = word[:-2]
        found.append(word)
    if word.endswith("s") and not word.endswith("ss"):
        found.append(word[:-1])
        if word.endswith("es"):
            found.append(word[:-2])
        if word.endswith("ies"):
            found.append(word[:-3] + "y")
    for ending in ("ed", "ing"):
        root = word.removesuffix(ending)
        if root != word and len(root) > 1:
            found += (root, root + "e")
            if root[-1] == root[-2]:
                found.append(root[:-1])
            if ending == "ed" and root[-1] == "i":
                found.append(root[:-1] + "y")
    return tuple(found)


@lru_cache(maxsize=1024)
def _own_words(language: str, grounds: str, allowed: tuple[str, ...], texts: tuple[str, ...]) -> Words:
    known = lexicon(language)
    claiming = {word for _, words in known.synonyms for word in words}
    parts = _PARTS.get(language, _PARTS_LATIN)
    playbook = {part for text in texts for part in parts.split(normalised(text).casefold()) if part not in claiming}
    own = (*known.other_words(grounds), *latin(grounds), *bare_words(grounds))
    return _words((*own, *playbook, *(normalised(word).casefold() for word in allowed)))


def _words(entries: Iterable[str]) -> Words:
    single = set()
    phrases: dict[tuple[str, str], list[tuple[str, ...]]] = {}
    for entry in entries:
        first, *rest = entry.replace("-", " ").split() or [""]
        if rest:
            phrases.setdefault((first, rest[0]), []).append((first, *rest))
        else:
            single.add(first)
    return Words(single=frozenset(single), phrases=phrases)
