"""The open check beside the lists of concepts: every word is the product's own, another word for a fact, or neutral.

A list of forbidden claims never ends; the words of honest copy do. What is in neither is a claim that nobody stated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

import msgspec

from workers.core.guardrails.lexicon import Lexicon, lexicon
from workers.core.guardrails.numbers import bare_words, spans
from workers.core.guardrails.predicates import foreign_deed
from workers.core.guardrails.subject import Subject, normalised
from workers.core.playbook import Playbook

_HAN = re.compile(r"[\u3400-\u9fff]+")
_LATIN = re.compile(r"[^\W\d_\u3400-\u9fff][^\W_\u3400-\u9fff]*(?:'[a-z]+)?|\d+[^\W\d_\u3400-\u9fff]+")
#: What no phrase reaches over; hyphens stand within them.
_BREAK = re.compile(r"[^\w\s'-]")
_LONGEST_HAN = 10
#: What stands before a verb that tells what a product does, or before a noun.
_BEFORE_VERBS = frozenset(
    "it they that which who you can will could would may might to not never also even simply just helps help lets let makes make"
    " and automatically band earphones strap case tips them".split()
)
_BEFORE_NOUNS = frozenset(
    "the a an your my our their his her its this these those some many few two of in on at for from by between through after"
    " before around no into over under like each every another".split()
)
_PREDICATE_BEGINS = re.compile(r"(?:会|能|可|可以|帮你|替你|让你|为你|帮您|替您|让您|为您|帮|让|还|也|支持|助你|不用|无需|不怕|不)$")


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """Single words, and phrases by their first word. Chinese knows no spaces: there all are single."""

    single: frozenset[str]
    phrases: dict[str, list[tuple[str, ...]]]


def unstated(subject: Subject) -> str | None:
    """The first word that is neither stated nor neutral; None = there is none, or nothing to hold the text against:
    a product without facts, or a language that the package has no lexicon for. One doubtful word a line is let pass.
    """
    language = subject.about.language
    known = lexicon(language)
    if known is None or not subject.facts.strip():
        return None
    allowed = tuple(subject.playbook.policy.neutral_words.get(language, ()))
    own = _own_words(language, subject.grounds, allowed, _said(subject.playbook, language))
    words = (own, _neutral_words(language))
    text = subject.text
    for start, end in spans(text):  # amounts are the business of `numbers`
        text = text[:start] + " " * (end - start) + text[end:]
    for line in text.split("\n"):
        if language == "en" and (deed := _deed(line, subject, own)):
            return deed
        doubtful = ""
        for word, tolerable in _unknown(line, words, subject.grounds, known):
            if doubtful or not tolerable:
                return word
            doubtful = word
    return None


def _deed(line: str, subject: Subject, own: Words) -> str | None:
    """The verb for what the product may not do."""
    deeds, names = _deeds(), frozenset(_LATIN.findall(subject.about.product.name.casefold())[-1:])
    for clause in _BREAK.split(line):
        tokens = _LATIN.findall(clause.replace("-", " "))
        found = foreign_deed(
            tokens, names, lambda verb: any(form in deeds or form in own.single for form in forms(verb))
        )
        if found:
            return found
    return None


@lru_cache(maxsize=1)
def _deeds() -> frozenset[str]:
    known = lexicon("en")
    assert known is not None
    return known.deeds


def _unknown(line: str, words: tuple[Words, ...], grounds: str, known: Lexicon) -> Iterator[tuple[str, bool]]:
    """(word, whether a line may have one of it) of every word of a line that is neither the product's nor neutral."""
    never = known.never - words[0].single
    for clause in _BREAK.split(line):
        tokens = _LATIN.findall(clause.replace("-", " "))
        for at in _strangers(tokens, words, never):
            yield tokens[at], _tolerable_word(tokens, at, known)
    for run in _HAN.finditer(line):
        for start, end in _strange_runs(run.group(), words, grounds):
            yield run.group()[start:end], _tolerable_run(run.group(), start, end, known)


def forms(word: str) -> Iterator[str]:
    """A word and what it may be an inflection of.

    >>> list(forms("carries")), "record" in forms("recorded"), "run" in forms("running"), "use" in forms("using")
    (['carries', 'carrie', 'carri', 'carry'], True, True, True)
    """
    yield word
    if word.endswith("'s"):
        word = word[:-2]
        yield word
    if word.endswith("s") and not word.endswith("ss"):
        yield word[:-1]
        if word.endswith("es"):
            yield word[:-2]
        if word.endswith("ies"):
            yield word[:-3] + "y"
    for ending in ("ed", "ing"):
        root = word.removesuffix(ending)
        if root != word and len(root) > 1:
            yield from (root, root + "e")
            if root[-1] == root[-2]:
                yield root[:-1]
            if ending == "ed" and root[-1] == "i":
                yield root[:-1] + "y"


@lru_cache(maxsize=1024)
def _own_words(language: str, grounds: str, allowed: tuple[str, ...], said: tuple[str, ...]) -> Words:
    """What this product may be described with beside the neutral words of the package."""
    known = lexicon(language)
    assert known is not None  # asked before
    claiming = {word for _, words in known.synonyms for word in words}
    parts = re.compile(r"[^\w]+") if language == "zh" else re.compile(r"[^\w'-]+")
    playbook = {part for text in said for part in parts.split(normalised(text).casefold()) if part not in claiming}
    own = [*known.other_words(grounds), *_LATIN.findall(grounds.replace("-", " ")), *bare_words(grounds)]
    return _words([*own, *playbook, *(normalised(word).casefold() for word in allowed)])


@lru_cache(maxsize=8)
def _neutral_words(language: str) -> Words:
    known = lexicon(language)
    assert known is not None
    return _words(known.neutral)


def _words(entries: Iterable[str]) -> Words:
    single = set()
    phrases: dict[str, list[tuple[str, ...]]] = {}
    for entry in entries:
        first, *rest = entry.replace("-", " ").split() or [""]
        if rest:
            phrases.setdefault(first, []).append((first, *rest))
        else:
            single.add(first)
    return Words(single=frozenset(single), phrases=phrases)


def _said(playbook: Playbook, language: str) -> tuple[str, ...]:
    """How the marketer speaks of customers, campaigns and tones: prompts hold it, so texts repeat it."""
    texts = [text for group in playbook.audiences.target_groups for text in (group.angle, group.name)]
    texts += [text for campaign in playbook.campaigns.values() for text in (campaign.goal, campaign.cta)]
    texts += [tone.hint for tone in playbook.tones.values()]
    return tuple(text.get(language, "") for text in texts)


def _strangers(tokens: list[str], words: tuple[Words, ...], never: frozenset[str]) -> list[int]:
    """Where the words are that no reading of a clause as known words and phrases covers."""
    reached = [True] + [False] * len(tokens)
    strangers: list[int] = []
    furthest = 0
    for at, token in enumerate(tokens):
        if not reached[at]:
            continue
        if token not in never and any(form in layer.single for form in forms(token) for layer in words):
            reached[at + 1] = True
        for layer in words:
            for phrase in layer.phrases.get(token, ()):
                if tuple(tokens[at : at + len(phrase)]) == phrase:
                    reached[at + len(phrase)] = True
                    furthest = max(furthest, at + len(phrase))
        if not reached[at + 1] and furthest <= at:
            strangers.append(at)
            reached[at + 1] = True
    return strangers


def _strange_runs(run: str, words: tuple[Words, ...], grounds: str) -> list[tuple[int, int]]:
    """(start, end) of the characters that the segmentation into known words with the fewest strange ones leaves. Two
    characters or more that stand together in the product's own data are a word.
    """
    size = len(run)
    cost, came_from = [0] + [size + 1] * size, [0] * (size + 1)
    for at in range(size):
        if cost[at] + 1 < cost[at + 1]:
            cost[at + 1], came_from[at + 1] = cost[at] + 1, -1
        for end in range(at + 1, min(at + _LONGEST_HAN, size) + 1):
            word = run[at:end]
            if cost[at] < cost[end] and (
                any(word in layer.single for layer in words) or (end - at > 1 and word in grounds)
            ):
                cost[end], came_from[end] = cost[at], at
    strange: list[tuple[int, int]] = []
    at = size
    while cost[at]:
        if came_from[at] >= 0:
            at = came_from[at]
            continue
        at -= 1
        end = strange.pop()[1] if strange and strange[-1][0] == at + 1 else at + 1
        strange.append((at, end))
    return strange[::-1]


def _tolerable_word(tokens: list[str], at: int, known: Lexicon) -> bool:
    """Whether an unknown word may be a mere word: it is in no list of claims, and does not stand as a verb."""
    word, before = tokens[at], tokens[at - 1] if at else ""
    if not word.isalpha() or any(form in known.claiming for form in forms(word)):
        return False
    if word.endswith(("est", "proof", "less")) or before in _BEFORE_VERBS:
        return False
    return before in _BEFORE_NOUNS or not (at == 0 or word.endswith(("s", "ed")))


def _tolerable_run(run: str, start: int, end: int, known: Lexicon) -> bool:
    """As above for Chinese: at most two characters, none of which claims, and not after what begins a predicate."""
    word = run[start:end]
    near = run[max(start - 1, 0) : end + 1]
    if end - start > 2 or any(character in known.claiming for character in word):
        return False
    if any(near[i:j] in known.claiming for i in range(len(near)) for j in range(i + 2, len(near) + 1)):
        return False
    return not _PREDICATE_BEGINS.search(run[:start]) and not (start == 0 and run[end : end + 1] in ("你", "您"))
